#include "node/balancer.h"

#include <algorithm>
#include <vector>

namespace fallow::node {
namespace {

// 16 MiB a second: a few percent of what a worker can do.
constexpr double kWorthwhilePagesPerSecond = 4096;
// What must be left of the busier worker's load, at most.
constexpr double kClearlyLess = 0.75;
// Of the last interval in an average.
constexpr double kWeight = 0.25;

}  // namespace

std::optional<VmMove> choose_move(std::span<const VmLoad> vms, unsigned workers) {
  std::vector<double> sums(workers);
  for (const VmLoad& vm : vms) {
    sums[vm.worker] += vm.pages_per_second;
  }
  const auto [least, most] = std::minmax_element(sums.begin(), sums.end());
  if (*most < kWorthwhilePagesPerSecond) {
    return std::nullopt;
  }
  std::optional<VmMove> best;
  double best_sum = *most;
  for (const VmLoad& vm : vms) {
    const double after = std::max(*most - vm.pages_per_second, *least + vm.pages_per_second);
    if (sums.begin() + vm.worker == most && after <= *most * kClearlyLess && after < best_sum) {
      best_sum = after;
      best = VmMove{vm.vm, static_cast<unsigned>(least - sums.begin())};
    }
  }
  return best;
}

unsigned least_crowded(std::span<const unsigned> workers_of_vms, unsigned workers) {
  std::vector<unsigned> vms(workers);
  for (const unsigned worker : workers_of_vms) {
    ++vms[worker];
  }
  return static_cast<unsigned>(std::min_element(vms.begin(), vms.end()) - vms.begin());
}

std::vector<VmLoad> LoadAverages::update(std::uint64_t now_ns, std::span<const Count> counts) {
  const double seconds = static_cast<double>(now_ns - updated_ns_) / 1e9;
  const bool first = updated_ns_ == 0 || now_ns == updated_ns_;
  updated_ns_ = now_ns;
  std::vector<VmLoad> loads;
  std::map<ClientId, Memory> memories;
  for (const Count& count : counts) {
    const auto found = memories_.find(count.vm);
    Memory memory = found != memories_.end() ? found->second : Memory{};
    // Another VM may have got the number meanwhile.
    const std::uint64_t before = memory.pages <= count.pages ? memory.pages : 0;
    if (!first) {
      const double now = static_cast<double>(count.pages - before) / seconds;
      memory.pages_per_second += kWeight * (now - memory.pages_per_second);
      loads.push_back({count.vm, count.worker, memory.pages_per_second});
    }
    memory.pages = count.pages;
    memories[count.vm] = memory;
  }
  memories_ = std::move(memories);
  return loads;
}

}  // namespace fallow::node
