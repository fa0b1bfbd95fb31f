// Slabs: aligned blocks of frames cut into equal slots, which hold compressed pages.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/units.h"
#include "memory/arena.h"
#include "memory/zone.h"
#include "tmem/account.h"

namespace fallow::tmem {

inline constexpr std::uint32_t kSlabBytes = memory::kSlabFrames << kPageShift;
inline constexpr std::uint32_t kSlotsMin = 5;  // four slots a slab would save nothing
inline constexpr std::uint32_t kSlotsMax = 64;

// The sizes of slots, ascending: what 64 to 5 equal slots leave each, in whole granules. Less than
// 4% of a slab is left over.
inline constexpr std::size_t kSlotClasses = 24;
inline constexpr std::array<std::uint16_t, kSlotClasses> kSlotBytes = [] {
  std::array<std::uint16_t, kSlotClasses> sizes{};
  std::size_t at = 0;
  for (std::uint32_t slots = kSlotsMax; slots >= kSlotsMin; --slots) {
    const auto bytes = static_cast<std::uint16_t>(kSlabBytes / slots / memory::kSlotGranule *
                                                  memory::kSlotGranule);
    if (at == 0 || sizes[at - 1] != bytes) {
      sizes.at(at++) = bytes;
    }
  }
  return sizes;
}();
inline constexpr std::uint32_t kSlotBytesMax = kSlotBytes.back();
static_assert(kSlotBytes.front() * kSlotsMax == kSlabBytes && kSlotBytesMax == 3264);

constexpr std::uint32_t slots_of_class(std::size_t size_class) {
  return kSlabBytes / kSlotBytes[size_class];
}
// The smallest class with room for so many bytes, kSlotBytesMax at most.
std::uint8_t slot_class_of(std::size_t bytes);

// One block, slab or not.
struct Slab {
  std::uint64_t free = 0;   // bit i: slot i is free
  std::uint32_t owner = 0;  // the client; 0: no slab
  std::uint32_t previous = 0;
  std::uint32_t next = 0;
  std::uint8_t size_class = 0;
};
static_assert(sizeof(Slab) == 24, "memory beyond frames: 6 bytes a frame, where pages compress");

// Every block of the arena. It is ordinary memory, and rebuilt from the frame table.
//
// A slab's fields are its owner's heap's, under that heap's lock; owner and class may be read
// without by whoever knows that a slot of it is taken.
class SlabTable {
 public:
  // No slab is there yet; no memory is used for an arena that was made without records for slots.
  SlabTable(memory::Arena& arena, memory::Zone& zone);

  // Of a slot that is taken.
  [[nodiscard]] std::uint8_t class_of(std::uint32_t place) const {
    return slabs_[place / kPlaces].size_class;
  }
  [[nodiscard]] std::uint64_t overhead_bytes() const { return slabs_.size() * sizeof(Slab); }
  // For recovery, single-threaded: whether the frame belongs to a slab.
  [[nodiscard]] bool contains(std::uint32_t frame) const {
    return !slabs_.empty() && frame / memory::kSlabFrames < slabs_.size() &&
           slabs_[frame / memory::kSlabFrames].owner != 0;
  }

 private:
  friend class SlabHeap;
  static constexpr std::uint32_t kPlaces = kSlabBytes / memory::kSlotGranule;

  memory::Arena& arena_;
  memory::Zone& zone_;
  std::vector<Slab> slabs_;  // by block
};

// One client's slabs: no two clients share a frame. The client's account is charged a slab's frames
// while it exists: from before its first slot is taken until its last is free.
//
// Any thread. Taking and releasing are a few steps under the heap's lock, the zone's lock within it
// when a slab comes or goes. Invariants, under the heap's lock:
//   1. A slab with a free slot is in the list of its class, and no other is.
//   2. A slab has a slot that is taken (but for those that recovery is still looking at).
//   3. A slab's record is kSlab in the frame table as long as the slab exists.
class SlabHeap {
 public:
  SlabHeap(SlabTable& table, Account& account);

  // Whose heap it is from now on; it is empty.
  void set_owner(ClientId client) { owner_ = client.value; }

  // The place of a slot with room for `bytes`: of its own class, in a new slab when need be; or of
  // a larger one when no slab can be had. Nothing when there is neither.
  std::optional<std::uint32_t> take(std::size_t bytes);
  // Nobody refers to the slot any more: its record is free in the frame table.
  void release(std::uint32_t place);

  // May lag behind by what other threads are doing at the moment.
  [[nodiscard]] std::uint64_t free_slots() const { return load(free_slots_); }
  [[nodiscard]] std::uint64_t pages() const { return load(taken_slots_); }
  [[nodiscard]] std::uint64_t bytes() const { return load(slabs_) * kSlabBytes; }

  // Recovery, single-threaded. First slabs: the frame's record says kSlab; false, and nothing done,
  // when it cannot be one of this client's.
  bool adopt(std::uint32_t frame);
  // Then slots: false when there is no such slot of this client's, or when it is taken.
  bool claim(std::uint32_t place);
  // Last: slabs of which nothing was claimed are freed, and from now on whenever they are empty.
  void finish_recovery();

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static std::uint64_t load(const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);  // hints and statistics; they guard nothing
  }

  bool make_slab(std::uint8_t size_class);
  void free_slab(std::uint32_t block);
  void begin_slab(std::uint32_t block, std::uint8_t size_class);
  void link(std::uint32_t block);
  void unlink(std::uint32_t block);
  void take_slot(std::uint32_t block, std::uint32_t slot);
  Slab& slab(std::uint32_t block) { return table_.slabs_[block]; }

  SlabTable& table_;
  Account& account_;
  std::uint32_t owner_ = 0;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::array<std::uint32_t, kSlotClasses> heads_;
  std::uint32_t classes_ = 0;  // bit c: the list of class c is not empty
  bool recovering_ = false;
  // Written under mutex_.
  std::atomic<std::uint64_t> free_slots_{0};
  std::atomic<std::uint64_t> taken_slots_{0};
  std::atomic<std::uint64_t> slabs_{0};
};

}  // namespace fallow::tmem
