// How fast a pager follows the client's target, and how much it has under way: numbers by which a
// model of it goes, too (src/sim).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fallow::pager {

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
