// What the document found, and what this project promises, against what was found here.
#pragma once

#include <string>
#include <vector>

#include "lab/results.h"

namespace fallow::lab {

// A sentence of 004, §2.4, or a promise of ours, and whether it holds here.
struct Finding {
  std::string text{};
  enum class Verdict { kHolds, kFails, kUnknown } verdict = Verdict::kUnknown;
  std::string figures{};
};
std::vector<Finding> findings(const std::vector<ScenarioSummary>& scenarios);

}  // namespace fallow::lab
