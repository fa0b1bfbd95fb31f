// The classic binary buddy system over frame numbers (004, §5: a zone's allocator). Blocks are
// aligned powers of two; a freed block joins its free buddy. The lowest address goes first, so that
// high blocks stay whole and can be handed to other nodes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "memory/bit_tree.h"

namespace fallow::memory {

// Not safe for concurrent use: Zone holds the lock.
class BuddyAllocator {
 public:
  static constexpr unsigned kOrderMax = 18;  // 1 GiB of 4 KiB frames

  // No frame is free at first; `frames` need not be a power of two.
  explicit BuddyAllocator(std::uint32_t frames);
  // Frees any run of frames, block by block.
  void free_run(std::uint32_t first, std::uint32_t frames);

  // The first frame of a block of 2^order frames; nothing when there is none.
  std::optional<std::uint32_t> allocate(unsigned order);
  // `first` and `order` as they were allocated, or any aligned part of it.
  void free(std::uint32_t first, unsigned order);

  [[nodiscard]] std::uint64_t free_frames() const { return free_frames_; }
  // The order of the largest free block; nothing when no frame is free.
  [[nodiscard]] std::optional<unsigned> largest_free_order() const;

 private:
  [[nodiscard]] bool is_free(std::uint32_t first, unsigned order) const;

  std::uint32_t frames_;
  std::uint64_t free_frames_ = 0;
  std::vector<BitTree> free_;  // by order: the free blocks, numbered first >> order
};

}  // namespace fallow::memory
