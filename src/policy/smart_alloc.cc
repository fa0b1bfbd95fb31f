#include "policy/smart_alloc.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "policy/quotas.h"
#include "policy/shares.h"

namespace fallow::policy {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kWhole = 100 * SmartAllocSettings::kPercent;

// floor(value * part / 100%), for part <= 100%.
std::uint64_t part_of(std::uint64_t value, std::uint64_t part) {
  return static_cast<std::uint64_t>(Wide{value} * part / kWhole);
}

// The same, as many times as the weight is the default one, rounded once.
std::uint64_t weighed_part_of(std::uint64_t value, std::uint64_t part, std::uint32_t weight) {
  const Wide weighed = Wide{value} * part * weight / (Wide{kWhole} * Quota::kWeightDefault);
  return static_cast<std::uint64_t>(
      std::min(weighed, Wide{std::numeric_limits<std::uint64_t>::max()}));
}

std::uint64_t add_saturated(std::uint64_t left, std::uint64_t right) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(left, right, &sum) ? std::numeric_limits<std::uint64_t>::max()
                                                   : sum;
}

// What remains of `value` once `taken` is gone, never below 0: a VM may use more than its target.
std::uint64_t left_of(std::uint64_t value, std::uint64_t taken) {
  return value > taken ? value - taken : 0;
}

std::string to_decimal(Wide value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  return digits;
}

// What a VM may not have takes nothing from the others when the targets are scaled.
void cap(Decision& decision, const Quota& quota) {
  if (decision.target > quota.max) {
    decision.target = quota.max;
    decision.reason += maximum_note(quota.max);
  }
}

// 004, Algorithm 4, lines 27-33 and Equation 2.2. Weights have no part in it: scaled by them, too,
// the targets of VMs that all want more would drift to the heaviest alone. As increments are by
// weight, scaling them plainly makes the targets shares by weight in the end.
void fit(std::vector<Decision>& decisions, std::uint64_t total) {
  Wide sum = 0;
  std::vector<std::uint64_t> targets;
  for (const Decision& decision : decisions) {
    targets.push_back(decision.target);
    sum += decision.target;
  }
  if (sum <= total) {
    return;
  }
  const std::vector<std::uint64_t> scaled = scale_to_total(targets, total);
  const std::string note =
      "; all targets scaled by " + std::to_string(total) + "/" + to_decimal(sum);
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    decisions[i].target = scaled[i];
    decisions[i].reason += note;
  }
}

}  // namespace

std::vector<Decision> SmartAlloc::decide(const NodeStatistics& statistics) const {
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back(decide_vm(vm, statistics.total));
    cap(decisions.back(), vm.quota);
  }
  fit(decisions, statistics.total);
  return honour_quotas(statistics, std::move(decisions));
}

std::vector<Decision> SmartAlloc::start(const NodeStatistics& statistics) const {
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back({vm.id, vm.target,
                         "starts with " + std::to_string(vm.target) + " of " +
                             std::to_string(statistics.total) + " pages, among " +
                             std::to_string(statistics.vms.size()) + " VMs"});
    cap(decisions.back(), vm.quota);
  }
  fit(decisions, statistics.total);
  return honour_quotas(statistics, std::move(decisions));
}

// 004, Algorithm 4, lines 8-22.
Decision SmartAlloc::decide_vm(const VmStatistics& vm, std::uint64_t total) const {
  const std::uint64_t puts_failed = left_of(vm.puts_total, vm.puts_succ);
  if (puts_failed > 0) {
    return grow(vm, puts_failed, total);
  }
  if (left_of(vm.target, vm.used) > settings_.threshold) {
    return shrink(vm);
  }
  return {vm.id, vm.target,
          "no put failed and " + std::to_string(left_of(vm.target, vm.used)) +
              " pages unused, no more than the threshold of " +
              std::to_string(settings_.threshold) + ": kept"};
}

// Lines 10-12; by weight. At least a page, or a small P on a small node would never help anybody.
Decision SmartAlloc::grow(const VmStatistics& vm, std::uint64_t puts_failed,
                          std::uint64_t total) const {
  const std::uint32_t weight = vm.quota.weight;
  const std::uint64_t increment =
      std::max<std::uint64_t>(weighed_part_of(total, settings_.p_micro_percent, weight), 1);
  const std::string by =
      weight == Quota::kWeightDefault ? "" : ", by weight " + std::to_string(weight);
  return {vm.id, add_saturated(vm.target, increment),
          std::to_string(puts_failed) + " puts failed: +" + std::to_string(increment) +
              " pages (P=" + percent() + "% of " + std::to_string(total) + by + ")"};
}

// Lines 14-18.
Decision SmartAlloc::shrink(const VmStatistics& vm) const {
  const std::uint64_t target = part_of(vm.target, kWhole - settings_.p_micro_percent);
  return {vm.id, target,
          std::to_string(left_of(vm.target, vm.used)) + " of " + std::to_string(vm.target) +
              " pages unused, more than the threshold of " + std::to_string(settings_.threshold) +
              ": -" + std::to_string(vm.target - target) + " pages (P=" + percent() + "%)"};
}

std::uint64_t SmartAlloc::initial_target(std::uint64_t total, std::uint64_t vm_count) const {
  return total / std::max<std::uint64_t>(vm_count, 1);
}

std::uint64_t SmartAlloc::initial_target_of(const NodeStatistics& statistics, std::size_t i) const {
  return within_quota(statistics, i, part_by_weight(statistics, i));
}

std::string SmartAlloc::spec() const {
  return "smart-alloc:P=" + percent() + ",threshold=" + std::to_string(settings_.threshold);
}

std::string SmartAlloc::percent() const {
  std::string text = std::to_string(settings_.p_micro_percent / SmartAllocSettings::kPercent);
  const std::uint64_t fraction = settings_.p_micro_percent % SmartAllocSettings::kPercent;
  if (fraction == 0) {
    return text;
  }
  std::string digits = std::to_string(fraction + SmartAllocSettings::kPercent).substr(1);
  digits.erase(digits.find_last_not_of('0') + 1);
  return text + "." + digits;
}

Result<std::uint64_t> parse_percent(std::string_view text) {
  const Result<double> value = parse_number(text);
  if (!value || !(*value > 0) || *value > 100) {
    return invalid("P must be a percentage above 0 and at most 100, not '" + std::string(text) +
                   "'");
  }
  const auto micro = static_cast<std::uint64_t>(
      std::llround(*value * static_cast<double>(SmartAllocSettings::kPercent)));
  if (micro == 0) {
    return invalid("P is counted in millionths of a percent, and '" + std::string(text) +
                   "' is less than one");
  }
  return micro;
}

}  // namespace fallow::policy
