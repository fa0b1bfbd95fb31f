// no-tmem: every pool is closed, so that every page goes to the backing store. The case without
// pooled memory that 004 (§2.4) measures the policies against. A minimum is not given: what is
// closed is closed.
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

class NoTmem final : public Policy {
 public:
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::uint64_t initial_target_of(const NodeStatistics& statistics,
                                                std::size_t i) const override;
  [[nodiscard]] std::string spec() const override { return "no-tmem"; }
};

}  // namespace fallow::policy
