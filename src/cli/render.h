// Answers for people: sizes in MiB and GiB, times with their unit, tables aligned.
#pragma once

#include <string>
#include <vector>

#include "node/views.h"
#include "run/run_program.h"

namespace fallow::cli {

std::string render(const node::NodeView& node);
std::string render(const node::VmView& vm);
std::string render(const std::vector<node::VmView>& vms);
std::string render(const node::NodeSnapshot& snapshot);  // a line for the node, a table of its VMs
std::string render(const std::vector<node::ClientView>& clients);
std::string render(const node::Explanation& explanation);
std::string render(const std::vector<node::QuotaView>& quotas);
std::string render(const node::CurrentPolicy& policy);
std::string render(const std::vector<node::PolicyView>& policies);
std::string render(const run::RunOutcome& outcome);

// "850 ns", "1.2 us", "3.4 ms", "2.0 s"
std::string format_ns(std::uint64_t ns);

}  // namespace fallow::cli
