// Which VM goes to which worker, so that no worker has much to do while another has little. What is
// compared is pages per second that the disks have read and written: what a worker's time goes for,
// and known without measuring anything. (A worker that looks for more to do seems busy but is not.)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/units.h"

namespace fallow::node {

struct VmLoad {
  ClientId vm;
  unsigned worker = 0;  // that serves it now
  double pages_per_second = 0;
};

struct VmMove {
  ClientId vm;
  unsigned to = 0;
};

// Takes from the worker with the most load to the one with the least the VM after whose move the
// busier of the two has the least. Nothing, when that is not a quarter less than before, or when
// the most is hardly anything. So a load that stays the same settles: the larger of two sums falls
// with every move, and no move is taken back.
std::optional<VmMove> choose_move(std::span<const VmLoad> vms, unsigned workers);

// The worker with the fewest VMs, for a new one.
unsigned least_crowded(std::span<const unsigned> workers_of_vms, unsigned workers);

// Loads from counts: averages over some intervals, so that VMs that are busy by turns stay.
class LoadAverages {
 public:
  struct Count {
    ClientId vm;
    unsigned worker = 0;
    std::uint64_t pages = 0;  // since the VM came
  };

  // Once an interval, with every VM; the averages, in the order of `counts`. Empty the first time.
  std::vector<VmLoad> update(std::uint64_t now_ns, std::span<const Count> counts);

 private:
  struct Memory {
    std::uint64_t pages = 0;
    double pages_per_second = 0;
  };

  std::uint64_t updated_ns_ = 0;
  std::map<ClientId, Memory> memories_;
};

}  // namespace fallow::node
