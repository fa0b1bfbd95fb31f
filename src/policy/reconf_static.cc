#include "policy/reconf_static.h"

#include "policy/quotas.h"

namespace fallow::policy {
namespace {

bool is_active(const VmStatistics& vm) {
  return vm.cumul_puts_failed > 0;
}

std::string active_reason(const VmStatistics& vm, const Share& share, std::size_t active,
                          std::size_t count) {
  return std::to_string(vm.cumul_puts_failed) + " puts failed so far: " + share.words + " among " +
         std::to_string(active) + " active of " + std::to_string(count) + " VMs" + share.note;
}

std::vector<Quota> active_quotas(const NodeStatistics& statistics) {
  std::vector<Quota> quotas;
  for (const VmStatistics& vm : statistics.vms) {
    if (is_active(vm)) {
      quotas.push_back(vm.quota);
    }
  }
  return quotas;
}

}  // namespace

// 004, Algorithm 3, lines 4-15, as the document's text has it: "an equal share [...] to each VM
// that has performed at least one put, initially allocating no capacity to any VM". The algorithm
// as printed assigns the active VMs' share to every VM in its second loop, so that inactive VMs
// would get it too and the targets would add up to more than the node has.
std::vector<Decision> ReconfStatic::decide(const NodeStatistics& statistics) const {
  const std::vector<Share> shares = shares_by_weight(statistics.total, active_quotas(statistics));
  std::size_t nth_active = 0;
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    if (is_active(vm)) {
      const Share& share = shares[nth_active++];
      decisions.push_back(
          {vm.id, share.pages, active_reason(vm, share, shares.size(), statistics.vms.size())});
    } else {
      decisions.push_back({vm.id, 0, "no put has failed yet: no share until one does"});
    }
  }
  return honour_quotas(statistics, std::move(decisions));
}

std::uint64_t ReconfStatic::initial_target(std::uint64_t /*total*/,
                                           std::uint64_t /*vm_count*/) const {
  return 0;
}

}  // namespace fallow::policy
