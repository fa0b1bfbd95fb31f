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

#include "policy/outlook.h"
#include "policy/policy.h"
#include "policy/smart_alloc.h"

namespace fallow::policy {

class Marginal final : public Policy {
 public:
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

  // So much more must the frames of a VM be worth to be taken from one that was to have all that it
  // wants: moving them costs writes and reads.
  static constexpr double kStay = 4;
  // Frames that are held are taken from one VM for another only where what is to be gained becomes
  // so many times what it is.
  static constexpr double kGainLeast = 1.1;
  // Every VM gets this part of an equal share, if it wants it.
  static constexpr std::uint64_t kFloorParts = 8;
  // Smart-alloc's P as long as nothing better is known: that should not take long.
  static constexpr std::uint64_t kFallbackPercent = 10;

 private:
  Goal goal_;
  SmartAlloc fallback_{{.p_micro_percent = kFallbackPercent * SmartAllocSettings::kPercent}};
};

// "refaults", "slowdown", "worst": the setting goal.
Result<Goal> parse_goal(std::string_view text);

}  // namespace fallow::policy
