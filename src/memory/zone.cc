#include "memory/zone.h"

#include "base/check.h"

namespace fallow::memory {

Zone::Zone(NodeId home, std::uint32_t frames) : home_(home), buddy_(frames), free_frames_(0) {}

void Zone::add_free(std::uint32_t first, std::uint32_t frames) {
  const std::lock_guard lock(mutex_);
  buddy_.free_run(first, frames);
  free_frames_.store(buddy_.free_frames(), std::memory_order_relaxed);
}

std::optional<FrameAddress> Zone::allocate_frame() {
  const auto block = allocate_block(0);
  return block ? std::optional(block->first) : std::nullopt;
}

void Zone::free_frame(FrameAddress frame) {
  free_block({frame, 0});
}

std::optional<Block> Zone::allocate_block(unsigned order) {
  if (free_frames() < std::uint64_t{1} << order) {
    return std::nullopt;  // a full zone refuses without the lock
  }
  const std::lock_guard lock(mutex_);
  const auto first = buddy_.allocate(order);
  free_frames_.store(buddy_.free_frames(), std::memory_order_relaxed);
  return first ? std::optional(Block{{home_, *first}, order}) : std::nullopt;
}

void Zone::free_block(const Block& block) {
  CHECK(block.first.home == home_);
  const std::lock_guard lock(mutex_);
  buddy_.free(block.first.frame, block.order);
  free_frames_.store(buddy_.free_frames(), std::memory_order_relaxed);
}

}  // namespace fallow::memory
