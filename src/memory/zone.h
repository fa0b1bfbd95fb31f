// The frames of one home that this node owns, with their allocator. There is one zone for the
// node's own memory, and one for each other home that has granted it blocks.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "memory/buddy_allocator.h"
#include "memory/frame_address.h"

namespace fallow::memory {

// Any thread. The lock is held for the few steps of the allocator and nothing else: a put, which
// moves 4 KiB, spends a few percent of its time here.
class Zone {
 public:
  // Frames [0, frames) of `home`, none of them free yet.
  Zone(NodeId home, std::uint32_t frames);
  // Frees a run of frames that were not allocated here: at the start, those that hold nothing.
  void add_free(std::uint32_t first, std::uint32_t frames);

  [[nodiscard]] NodeId home() const { return home_; }
  std::optional<FrameAddress> allocate_frame();
  void free_frame(FrameAddress frame);
  std::optional<Block> allocate_block(unsigned order);
  void free_block(const Block& block);

  // May lag behind by what other threads are doing at the moment.
  [[nodiscard]] std::uint64_t free_frames() const {
    return free_frames_.load(std::memory_order_relaxed);  // a hint and a statistic; guards nothing
  }

 private:
  const NodeId home_;
  std::mutex mutex_;
  BuddyAllocator buddy_;  // guarded by mutex_
  std::atomic<std::uint64_t> free_frames_;
};

}  // namespace fallow::memory
