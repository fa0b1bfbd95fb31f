// How fast a pager follows the client's target, and how much it has under way: numbers by which a
// model of it goes, too (src/sim).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/disk_speed.h"
#include "base/units.h"

namespace fallow::pager {

// Pages of the file that may be read though nobody wants them, where another request would take
// longer.
inline constexpr std::uint32_t kBridgeMost = 128;
inline constexpr std::uint32_t kBridgeUnknown = 32;  // of a disk whose speed is not known
inline std::uint32_t bridge_most(const DiskSpeed& speed) {
  return speed.emulated() ? static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                speed.bytes_per_latency() / kPageSize, kBridgeMost))
                          : kBridgeUnknown;
}

// Between two looks at the target.
inline constexpr std::uint64_t kTargetLookNs = 50'000'000;
// Room under the target that is left alone, so that pages do not go to and fro.
inline constexpr std::uint64_t kRoomLeast = 32;
// Before the next try, while nothing could be moved out of the daemon's memory.
inline constexpr std::uint64_t kDemotionRestNs = 100'000'000;
// Of pages that may be moved so many for each one that is: the oldest of them go.
inline constexpr std::size_t kChoicesPerMove = 4;
// Pages that are looked at in one step, whatever they are.
inline constexpr std::size_t kLooksPerStep = 32'768;

// Pages: a fault never waits while this much room is left in RAM, and the rest of RAM is used.
constexpr std::uint64_t low_mark(std::uint64_t ram_pages) {
  return std::clamp<std::uint64_t>(ram_pages / 32, 32, 1024);
}

}  // namespace fallow::pager
