// Outcomes of replays for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "sim/replay.h"

namespace fallow::sim {

// The policies by their total, the least first.
std::string to_table(std::vector<Outcome> outcomes);
std::string to_json(const Script& script, std::vector<Outcome> outcomes);

}  // namespace fallow::sim
