// reconf-static: equal shares for the VMs that have been short of memory at least once, nothing for
// the others (004, §2.2.5 and Algorithm 3).
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

class ReconfStatic final : public Policy {
 public:
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  // 0: the first failed put makes a VM active.
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::string spec() const override { return "reconf-static"; }
};

}  // namespace fallow::policy
