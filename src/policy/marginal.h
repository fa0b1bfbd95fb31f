// marginal: frames go where they save the most waiting for backing stores. Of each VM it is known
// how many of its pages are beyond its RAM, how often they are read back, how long the backing
// store takes for one, and how long the VM has run besides: so how much faster it would be with so
// many frames more, and how much slower with fewer. Where the VM's miss-ratio curve is known, its
// first frames may be worth more than its last. Frames are given out by their worth until there are
// none left, and what is left when nobody wants more goes to all.
//
// A VM that waits for a disk becomes fast only when nearly all that it reads is in memory: the last
// frames are worth more than the first. So of VMs that cannot all be served, some are served whole
// and then, soon, the others, which is better for all of them than to be served by halves. One that
// nothing would help, because it goes over more than there is, gets little, and so does one that
// does not touch what it has. Nobody gets less than a floor.
//
// Nothing is to be tuned: the constants below are the same for every load.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/policy.h"
#include "policy/smart_alloc.h"

namespace fallow::policy {

class Marginal final : public Policy {
 public:
  // What is to be least: the reads of backing stores, all VMs' slowdowns by their weights, or that
  // of the VM that is slowed down most.
  enum class Goal : std::uint8_t { kRefaults, kSlowdown, kWorstSlowdown };

  explicit Marginal(Goal goal = Goal::kSlowdown) : goal_(goal) {}

  // Everything while nobody is short; by worth where reads are known; by smart-alloc where too
  // little is.
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  // Targets stay as they are.
  [[nodiscard]] std::vector<Decision> start(const NodeStatistics& statistics) const override;
  // All: nobody is refused before it is known who needs what.
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::string spec() const override;

  // Fewer reads than this, of all VMs of late, say too little.
  static constexpr double kReadsLeast = 64;
  // So much more must the frames of a VM be worth to be taken from one that was to have all that it
  // wants: moving them costs writes and reads.
  static constexpr double kStay = 4;
  // Frames that are held are taken from one VM for another only where what is to be gained becomes
  // so many times what it is.
  static constexpr double kGainLeast = 1.1;
  // Every VM gets this part of an equal share, if it wants it.
  static constexpr std::uint64_t kFloorParts = 8;
  // A VM that waits nearly always is taken to run for this part of the time.
  static constexpr double kRunningLeast = 0.02;
  // Smart-alloc's P as long as nothing better is known: that should not take long.
  static constexpr std::uint64_t kFallbackPercent = 10;
  // How long a read of the backing store is taken to last where nobody says.
  static constexpr double kWaitNs = 1e6;

 private:
  Goal goal_;
  SmartAlloc fallback_{{.p_micro_percent = kFallbackPercent * SmartAllocSettings::kPercent}};
};

// "refaults", "slowdown", "worst": the setting goal.
Result<Marginal::Goal> parse_goal(std::string_view text);

// A tenth of a target, and a page at least.
constexpr std::uint64_t tenth_of(std::uint64_t target) {
  return target < 10 ? 1 : target / 10;
}

// How many reads of the backing store, of late, a tenth more than that target would have saved, by
// what marginal judges by; under any policy. Empty where the VM's reads are not known.
std::optional<double> reads_saved_by_tenth(const VmStatistics& vm, std::uint64_t target);

}  // namespace fallow::policy
