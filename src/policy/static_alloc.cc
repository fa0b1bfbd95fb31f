#include "policy/static_alloc.h"

#include <algorithm>

#include "policy/shares.h"

namespace fallow::policy {

// 004, Algorithm 2, lines 5-9. The document drops the remainder of the division; here the first VMs
// take a page of it each, so that the whole node is given out.
std::vector<Decision> StaticAlloc::decide(const NodeStatistics& statistics) const {
  const std::uint64_t count = statistics.vms.size();
  const std::string reason = "equal share of " + std::to_string(statistics.total) +
                             " pages among " + std::to_string(count) + " VMs";
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back({vm.id, equal_share(statistics.total, count, decisions.size()), reason});
  }
  return decisions;
}

std::uint64_t StaticAlloc::initial_target(std::uint64_t total, std::uint64_t vm_count) const {
  return total / std::max<std::uint64_t>(vm_count, 1);
}

}  // namespace fallow::policy
