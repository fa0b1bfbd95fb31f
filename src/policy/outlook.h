// What frames would do for a VM, by what is known of it: how many of the pages beyond its RAM it
// would read from memory instead of its backing store, and how much faster that would make it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/policy.h"

namespace fallow::policy {

// What is to be least: the reads of backing stores, all VMs' slowdowns by their weights, or that of
// the VM that is slowed down most.
enum class Goal : std::uint8_t { kRefaults, kSlowdown, kWorstSlowdown };

// So many frames, and what they are good for.
struct Gain {
  std::uint64_t frames = 0;
  double value = 0;
};

// Immutable.
class Outlook {
 public:
  // Fewer reads of the backing store than this, of late, say too little.
  static constexpr double kReadsLeast = 64;
  // How long one is taken to last where nobody says.
  static constexpr double kWaitNs = 1e6;
  // A VM that waits nearly always is taken to run for this part of the time.
  static constexpr double kRunningLeast = 0.02;

  // `wait_ns`: how long a read of the backing store takes, where too few of the VM's own say so.
  explicit Outlook(const VmStatistics& vm, double wait_ns = kWaitNs);

  // Pages beyond its RAM: as many frames would save it every read of the backing store.
  [[nodiscard]] std::uint64_t wanted() const { return gains_.back().frames; }
  // Reads of these pages of late, from memory or the backing store.
  [[nodiscard]] double reads() const { return reads_; }
  // The part of the reads, 0 to 1, that so many frames save.
  [[nodiscard]] double saved_by(std::uint64_t frames) const;
  // How fast it would be with so many, as a part, 0 to 1, of what it would be if it never waited
  // for the backing store.
  [[nodiscard]] double speed_with(std::uint64_t frames) const { return speed(saved_by(frames)); }
  // As many as it needs to be so fast.
  [[nodiscard]] std::uint64_t frames_for(double speed) const;
  // What so many are good for: reads saved, or the speed, as the goal asks for.
  [[nodiscard]] double value_of(std::uint64_t frames, Goal goal) const;
  // The upper convex hull of value_of() from no frames to `most`, or to all that are wanted; one
  // point where none are.
  [[nodiscard]] std::vector<Gain> gains(std::uint64_t most, Goal goal) const;

 private:
  [[nodiscard]] double speed(double saved) const;

  double reads_;
  double stalled_ns_;        // if every page that is read were read from the backing store
  double running_ns_;        // besides
  std::vector<Gain> gains_;  // parts of the reads that are saved
};

// Of each VM, in their order.
std::vector<Outlook> outlooks_of(const NodeStatistics& statistics);

// A tenth of a target, and a page at least.
constexpr std::uint64_t tenth_of(std::uint64_t target) {
  return target < 10 ? 1 : target / 10;
}

// How many reads of the backing store, of late, a tenth more than that target would have saved;
// under any policy. Empty where the VM's reads are not known.
std::optional<double> reads_saved_by_tenth(const VmStatistics& vm, std::uint64_t target);

}  // namespace fallow::policy
