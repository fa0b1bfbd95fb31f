// greedy: everybody may hold everything, first come first served. The default that 004 (§2.1)
// compares with: whoever takes a lot of memory early leaves the others short.
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

class Greedy final : public Policy {
 public:
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::string spec() const override { return "greedy"; }
};

}  // namespace fallow::policy
