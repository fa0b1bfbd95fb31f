#include "policy/reconf_static.h"

#include <algorithm>

#include "policy/shares.h"

namespace fallow::policy {
namespace {

bool is_active(const VmStatistics& vm) {
  return vm.cumul_puts_failed > 0;
}

std::string active_reason(const VmStatistics& vm, std::uint64_t total, std::uint64_t active,
                          std::size_t count) {
  return std::to_string(vm.cumul_puts_failed) + " puts failed so far: equal share of " +
         std::to_string(total) + " pages among " + std::to_string(active) + " active of " +
         std::to_string(count) + " VMs";
}

}  // namespace

// 004, Algorithm 3, lines 4-15, as the document's text has it: "an equal share [...] to each VM
// that has performed at least one put, initially allocating no capacity to any VM". The algorithm
// as printed assigns the active VMs' share to every VM in its second loop, so that inactive VMs
// would get it too and the targets would add up to more than the node has.
std::vector<Decision> ReconfStatic::decide(const NodeStatistics& statistics) const {
  const auto active = static_cast<std::uint64_t>(
      std::count_if(statistics.vms.begin(), statistics.vms.end(), is_active));
  std::uint64_t nth_active = 0;
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    if (is_active(vm)) {
      decisions.push_back({vm.id, equal_share(statistics.total, active, nth_active++),
                           active_reason(vm, statistics.total, active, statistics.vms.size())});
    } else {
      decisions.push_back({vm.id, 0, "no put has failed yet: no share until one does"});
    }
  }
  return decisions;
}

std::uint64_t ReconfStatic::initial_target(std::uint64_t /*total*/,
                                           std::uint64_t /*vm_count*/) const {
  return 0;
}

}  // namespace fallow::policy
