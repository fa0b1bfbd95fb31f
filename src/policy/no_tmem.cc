#include "policy/no_tmem.h"

namespace fallow::policy {

std::vector<Decision> NoTmem::decide(const NodeStatistics& statistics) const {
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back({vm.id, 0, "pools are closed: every page goes to the backing store"});
  }
  return decisions;
}

std::uint64_t NoTmem::initial_target(std::uint64_t /*total*/, std::uint64_t /*vm_count*/) const {
  return 0;
}

std::uint64_t NoTmem::initial_target_of(const NodeStatistics& /*statistics*/,
                                        std::size_t /*i*/) const {
  return 0;
}

}  // namespace fallow::policy
