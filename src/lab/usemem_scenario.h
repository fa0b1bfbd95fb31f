// The usemem scenario of 004, Table 2.2, as a pure state machine: what the guests announce goes in,
// what is to be done comes out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace fallow::lab {

inline constexpr std::size_t kMachineCount = 3;

// All sizes in bytes. 004's own, times one factor.
struct UsememSizes {
  double scale = 1;
  std::uint64_t ram = 0;           // 512 MiB: of each VM, before what its kernel keeps
  std::uint64_t tmem = 0;          // 384 MiB: of the node
  std::uint64_t step = 0;          // 128 MiB
  std::uint64_t block_max = 0;     // 1 GiB
  std::uint64_t third_starts = 0;  // 640 MiB
  std::uint64_t all_stop = 0;      // 768 MiB
  std::uint64_t swap = 0;          // 2 GiB: each VM's disk
};

// kInvalid when the factor is not in [1/32, 8].
Result<UsememSizes> scaled_sizes(double scale);

// 004's guests give up part of their 512 MiB to their own kernel, and ours do so whatever the scale
// is. So a guest gets `scale` x 512 MiB and what scaling took away from the kernel's part: its
// workload then has `scale` times the memory that it would have at full size. Whole MiB.
std::uint64_t ram_with_overhead(const UsememSizes& sizes, std::uint64_t overhead);

struct UsememActions {
  bool start_third = false;
  bool stop_all = false;
};

class UsememScenario {
 public:
  explicit UsememScenario(const UsememSizes& sizes) : sizes_(sizes) {}

  // VM `machine` (0 to 2) is about to allocate a block. Each action is asked for once.
  UsememActions on_attempt(std::size_t machine, std::uint64_t bytes);

  [[nodiscard]] bool third_started() const { return third_started_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // How much of the scenario is over, 0 to 1, by blocks tried: for an estimate of the time left.
  [[nodiscard]] double progress() const;

  // "usemem --step ... --max ... --seed ...": each VM writes other content.
  [[nodiscard]] std::string command(std::size_t machine) const;

 private:
  UsememSizes sizes_;
  std::uint64_t attempted_[kMachineCount] = {0, 0, 0};
  bool third_started_ = false;
  bool stopped_ = false;
};

}  // namespace fallow::lab
