// The worked example that the tests of all policies share: 1000 pages; a is short of memory, b
// leaves most of its target unused, c is quiet.
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

inline NodeStatistics example_statistics() {
  return {.total = 1000,
          .vms = {{.id = "a",
                   .target = 500,
                   .used = 500,
                   .puts_total = 100,
                   .puts_succ = 80,
                   .cumul_puts_failed = 20},
                  {.id = "b", .target = 400, .used = 100, .puts_total = 10, .puts_succ = 10},
                  {.id = "c", .target = 100, .used = 90}}};
}

inline std::vector<std::uint64_t> targets_of(const std::vector<Decision>& decisions) {
  std::vector<std::uint64_t> targets;
  for (const Decision& decision : decisions) {
    targets.push_back(decision.target);
  }
  return targets;
}

}  // namespace fallow::policy
