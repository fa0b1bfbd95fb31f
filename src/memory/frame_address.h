#pragma once

#include <compare>
#include <cstdint>

#include "base/units.h"

namespace fallow::memory {

// A frame anywhere in the cluster: the node whose RAM it is, and its number there.
struct FrameAddress {
  NodeId home;
  std::uint32_t frame = 0;
  auto operator<=>(const FrameAddress&) const = default;
};

// An aligned power-of-two run of frames: the unit in which ownership moves between nodes.
struct Block {
  FrameAddress first;
  unsigned order = 0;
  [[nodiscard]] std::uint64_t frames() const { return std::uint64_t{1} << order; }
};

}  // namespace fallow::memory
