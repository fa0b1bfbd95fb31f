// How much RAM the memory of a pager would need: a miss-ratio curve and a working set, estimated
// from the pages that come into RAM.
//
// A page in RAM is used without anybody being told. So some pages, chosen by their hash, are taken
// out now and then whether room is needed or not: if they are used, they come back and are counted
// (probes). Only these pages are counted at all, each for as many as it stands for. Probes are so
// few that what they cost stays under 1% of a processor. Where the daemon takes none of them, only
// those that leave anyhow tell.
//
// Optionally every page that comes in is written to a file, a trace.
//
// Not synchronised: the pager's mutex guards it.
#pragma once

#include <fallow/fallow.h>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "pager/resident_queue.h"
#include "policy/miss_ratio_curve.h"

namespace fallow::pager {

class MemoryMonitor {
 public:
  static constexpr std::uint64_t kProbePeriodNs = 200'000'000;
  static constexpr std::size_t kProbesMost = 32;  // in a period
  static constexpr std::size_t kLooksMost = 128;  // for them, in a period
  // After nobody took them.
  static constexpr std::uint64_t kProbeRestNs = 1'000'000'000;
  static constexpr std::uint64_t kAgePeriodNs = 1'000'000'000;

  // `ram_pages`: how many may be in RAM.
  explicit MemoryMonitor(std::uint64_t ram_pages);

  // From now on each page that comes in is appended to the file, 8 bytes: the number of the page in
  // its address space, plus the space's in the 12 bits on top.
  Status trace_to(const std::string& path);

  // The page has come into RAM because somebody wanted it, or was about to.
  void came(const Resident& page);
  // A page to take out, up to kLooksMost times in a period; it may have left already.
  std::optional<Resident> probe();
  // One that probe() gave is in RAM all the same, or once more: with the stamp that it has now.
  void stayed(const Resident& page);
  // Once a kAgePeriodNs.
  void age() { estimator_.age(kKept); }

  // Fills in the working set and the curve.
  void report(fallow_memory_report& report) const;

 private:
  static constexpr double kKept = 0.97;
  static constexpr std::size_t kRememberedMost = 4096;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  const unsigned shift_;  // one page of 2^shift is in the sample
  policy::MissRatioEstimator estimator_;
  std::deque<Resident> sample_;  // those in RAM, the longest there first
  std::unique_ptr<std::FILE, Close> trace_;
};

}  // namespace fallow::pager
