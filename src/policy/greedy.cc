#include "policy/greedy.h"

#include "policy/quotas.h"

namespace fallow::policy {

std::vector<Decision> Greedy::decide(const NodeStatistics& statistics) const {
  const std::string reason = "first come, first served: any VM may hold all " +
                             std::to_string(statistics.total) + " pages";
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back({vm.id, statistics.total, reason});
  }
  return honour_quotas(statistics, std::move(decisions));
}

std::uint64_t Greedy::initial_target(std::uint64_t total, std::uint64_t /*vm_count*/) const {
  return total;
}

}  // namespace fallow::policy
