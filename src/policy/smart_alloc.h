// smart-alloc: a VM whose puts failed gets P percent of the node more (of weight 200, twice that),
// a VM that leaves more than a threshold of its target unused gives P percent of the target back,
// and when that adds up to more than the node has, all targets are scaled down (004, Algorithm 4
// and Equation 2.2).
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

struct SmartAllocSettings {
  // P in millionths of a percent, so that all arithmetic is exact: a double's 0.3 is below 0.3.
  static constexpr std::uint64_t kPercent = 1'000'000;
  std::uint64_t p_micro_percent = 2 * kPercent;  // (0, 100%]
  std::uint64_t threshold = 64;                  // pages
};

class SmartAlloc final : public Policy {
 public:
  explicit SmartAlloc(SmartAllocSettings settings) : settings_(settings) {}

  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  // Targets stay, scaled down when they add up to more than the node has: nobody shrinks for having
  // used nothing yet.
  [[nodiscard]] std::vector<Decision> start(const NodeStatistics& statistics) const override;
  // An equal share.
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  // A share by weight.
  [[nodiscard]] std::uint64_t initial_target_of(const NodeStatistics& statistics,
                                                std::size_t i) const override;
  [[nodiscard]] std::string spec() const override;

 private:
  [[nodiscard]] Decision decide_vm(const VmStatistics& vm, std::uint64_t total) const;
  [[nodiscard]] Decision grow(const VmStatistics& vm, std::uint64_t puts_failed,
                              std::uint64_t total) const;
  [[nodiscard]] Decision shrink(const VmStatistics& vm) const;
  [[nodiscard]] std::string percent() const;

  SmartAllocSettings settings_;
};

// "2", "0.5": the setting P, in millionths of a percent.
Result<std::uint64_t> parse_percent(std::string_view text);

}  // namespace fallow::policy
