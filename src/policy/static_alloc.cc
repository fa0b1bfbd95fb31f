#include "policy/static_alloc.h"

#include <algorithm>

#include "policy/quotas.h"

namespace fallow::policy {

// 004, Algorithm 2, lines 5-9. The document drops the remainder of the division; here the first VMs
// take a page of it each, so that the whole node is given out. Equal shares are those of equal
// weights.
std::vector<Decision> StaticAlloc::decide(const NodeStatistics& statistics) const {
  const std::string among = " among " + std::to_string(statistics.vms.size()) + " VMs";
  const std::vector<Share> shares = shares_by_weight(statistics.total, quotas_of(statistics));
  std::vector<Decision> decisions;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    decisions.push_back(
        {statistics.vms[i].id, shares[i].pages, shares[i].words + among + shares[i].note});
  }
  return honour_quotas(statistics, std::move(decisions));
}

std::uint64_t StaticAlloc::initial_target(std::uint64_t total, std::uint64_t vm_count) const {
  return total / std::max<std::uint64_t>(vm_count, 1);
}

std::uint64_t StaticAlloc::initial_target_of(const NodeStatistics& statistics,
                                             std::size_t i) const {
  return within_quota(statistics, i, part_by_weight(statistics, i));
}

}  // namespace fallow::policy
