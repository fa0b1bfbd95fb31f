// marginal: frames go where they save the most. Of each VM it is known how many of its pages are
// beyond its RAM, how often they are read back, from memory or from the backing store, and how long
// the latter takes: a frame more saves so much waiting, and a frame less costs as much. Where the
// VM's miss-ratio curve is known, its first frames may be worth more than its last. Frames are
// given out by their worth until there are none left, and what is left when nobody wants more goes
// to all.
//
// A VM that has what it wants runs faster, so that its frames are worth more still: of VMs that
// cannot all be served, some are served whole and then, soon, the others, which is better for all
// of them than to be served by halves. Nobody gets less than a floor.
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
  // Everything while nobody is short; by worth where reads are known; by smart-alloc where too
  // little is.
  [[nodiscard]] std::vector<Decision> decide(const NodeStatistics& statistics) const override;
  // Targets stay as they are.
  [[nodiscard]] std::vector<Decision> start(const NodeStatistics& statistics) const override;
  // All: nobody is refused before it is known who needs what.
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t total,
                                             std::uint64_t vm_count) const override;
  [[nodiscard]] std::string spec() const override { return "marginal"; }

  // Fewer reads than this, of all VMs of late, say too little.
  static constexpr double kReadsLeast = 64;
  // So much more must the frames of a VM be worth to be taken from one that was to have all that it
  // wants: moving them costs writes and reads.
  static constexpr double kStay = 1.5;
  // Every VM gets this part of an equal share, if it wants it.
  static constexpr std::uint64_t kFloorParts = 8;

 private:
  SmartAlloc fallback_{SmartAllocSettings{}};
};

// A tenth of a target, and a page at least.
constexpr std::uint64_t tenth_of(std::uint64_t target) {
  return target < 10 ? 1 : target / 10;
}

// How many reads of the backing store, of late, a tenth more than that target would have saved, by
// what marginal judges by; under any policy. Empty where the VM's reads are not known.
std::optional<double> reads_saved_by_tenth(const VmStatistics& vm, std::uint64_t target);

}  // namespace fallow::policy
