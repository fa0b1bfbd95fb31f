// Why a VM or a client has what it has, in sentences: a pure function of the figures.
#pragma once

#include <string>
#include <vector>

#include "node/views.h"

namespace fallow::node {

// The most telling first.
std::vector<std::string> explain(const VmView& vm, const NodeView& node,
                                 const TargetHistory& history);

std::vector<std::string> explain(const ClientView& client, const NodeView& node,
                                 const TargetHistory& history);

// "3.2 s", "5 min": for people.
std::string format_age(std::uint64_t ns);

}  // namespace fallow::node
