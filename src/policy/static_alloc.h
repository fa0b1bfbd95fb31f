// static-alloc: equal shares for all VMs, whatever they do (004, Algorithm 2). Nobody starves, but
// a VM that needs nothing keeps its share from those that do.
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

class StaticAlloc final : public Policy {
 public:
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::uint64_t initial_target_of(const NodeStatistics& statistics,
                                                std::size_t i) const override;
  [[nodiscard]] std::string spec() const override { return "static-alloc"; }
};

}  // namespace fallow::policy
