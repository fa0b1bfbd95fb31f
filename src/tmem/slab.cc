#include "tmem/slab.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace fallow::tmem {

using memory::FrameRecord;
using memory::FrameState;

namespace {

constexpr std::uint64_t all_free(std::size_t size_class) {
  return ~std::uint64_t{0} >> (kSlotsMax - slots_of_class(size_class));
}

constexpr std::uint32_t granules_of(std::size_t size_class) {
  return static_cast<std::uint32_t>(kSlotBytes[size_class] / memory::kSlotGranule);
}

// By size in granules, rounded up: the class that has room.
constexpr auto kClassOfGranules = [] {
  std::array<std::uint8_t, kSlotBytesMax / memory::kSlotGranule + 1> classes{};
  std::uint8_t at = 0;
  for (std::uint32_t granules = 0; granules < classes.size(); ++granules) {
    at = static_cast<std::uint8_t>(granules > granules_of(at) ? at + 1 : at);
    classes[granules] = at;
  }
  return classes;
}();

static_assert([] {
  for (std::size_t at = 0; at < kSlotClasses; ++at) {
    if (slots_of_class(at) > kSlotsMax ||
        slots_of_class(at) * kSlotBytes[at] * 100 < kSlabBytes * 96) {
      return false;
    }
  }
  return true;
}());

}  // namespace

std::uint8_t slot_class_of(std::size_t bytes) {
  DCHECK(bytes <= kSlotBytesMax);
  return kClassOfGranules[(bytes + memory::kSlotGranule - 1) / memory::kSlotGranule];
}

SlabTable::SlabTable(memory::Arena& arena, memory::Zone& zone)
    : arena_(arena),
      zone_(zone),
      slabs_(arena.slots() == 0 ? 0 : arena.frame_records() / memory::kSlabFrames) {}

SlabHeap::SlabHeap(SlabTable& table, Account& account) : table_(table), account_(account) {
  heads_.fill(kNone);
}

std::optional<std::uint32_t> SlabHeap::take(std::size_t bytes) {
  std::uint8_t size_class = slot_class_of(bytes);
  const std::lock_guard lock(mutex_);
  if (heads_[size_class] == kNone && !make_slab(size_class)) {
    const std::uint32_t larger = classes_ >> size_class;
    if (larger == 0) {
      return std::nullopt;
    }
    size_class = static_cast<std::uint8_t>(size_class + std::countr_zero(larger));
  }
  const std::uint32_t block = heads_[size_class];
  const auto slot = static_cast<std::uint32_t>(std::countr_zero(slab(block).free));
  take_slot(block, slot);
  return block * SlabTable::kPlaces + slot * granules_of(size_class);
}

void SlabHeap::take_slot(std::uint32_t block, std::uint32_t slot) {
  slab(block).free &= ~(std::uint64_t{1} << slot);
  if (slab(block).free == 0) {
    unlink(block);
  }
  free_slots_.fetch_sub(1, std::memory_order_relaxed);
  taken_slots_.fetch_add(1, std::memory_order_relaxed);
}

void SlabHeap::release(std::uint32_t place) {
  const std::uint32_t block = place / SlabTable::kPlaces;
  const std::lock_guard lock(mutex_);
  Slab& at = slab(block);
  const std::uint64_t bit = std::uint64_t{1}
                            << place % SlabTable::kPlaces / granules_of(at.size_class);
  CHECK(at.owner == owner_ && (at.free & bit) == 0);
  if (at.free == 0) {
    link(block);
  }
  at.free |= bit;
  free_slots_.fetch_add(1, std::memory_order_relaxed);
  taken_slots_.fetch_sub(1, std::memory_order_relaxed);
  if (at.free == all_free(at.size_class) && !recovering_) {
    free_slab(block);
  }
}

// Slabs come and go.

bool SlabHeap::make_slab(std::uint8_t size_class) {
  if (!account_.try_charge(memory::kSlabFrames)) {
    return false;
  }
  const auto frames = table_.zone_.allocate_block(memory::kSlabOrder);
  if (!frames) {
    account_.uncharge(memory::kSlabFrames);
    return false;
  }
  FrameRecord& record = table_.arena_.record(frames->first.frame);
  record.object = owner_;
  record.content = 0;
  record.index = size_class;
  record.pool = 0;
  record.generation = 0;
  record.epoch = table_.arena_.epoch().value;
  record.owner = table_.arena_.node().value;
  record.seal = seal_of(record);
  memory::publish(record, FrameState::kSlab);
  begin_slab(frames->first.frame / memory::kSlabFrames, size_class);
  return true;
}

void SlabHeap::begin_slab(std::uint32_t block, std::uint8_t size_class) {
  slab(block) = {.free = all_free(size_class), .owner = owner_, .size_class = size_class};
  link(block);
  free_slots_.fetch_add(slots_of_class(size_class), std::memory_order_relaxed);
  slabs_.fetch_add(1, std::memory_order_relaxed);
}

void SlabHeap::free_slab(std::uint32_t block) {
  unlink(block);
  free_slots_.fetch_sub(slots_of_class(slab(block).size_class), std::memory_order_relaxed);
  slabs_.fetch_sub(1, std::memory_order_relaxed);
  slab(block) = {};
  const std::uint32_t first = block * memory::kSlabFrames;
  memory::publish(table_.arena_.record(first), FrameState::kFree);
  table_.zone_.free_block({{table_.arena_.node(), first}, memory::kSlabOrder});
  account_.uncharge(memory::kSlabFrames);
}

void SlabHeap::link(std::uint32_t block) {
  Slab& at = slab(block);
  std::uint32_t& head = heads_[at.size_class];
  at.previous = kNone;
  at.next = head;
  if (head != kNone) {
    slab(head).previous = block;
  }
  head = block;
  classes_ |= 1u << at.size_class;
}

void SlabHeap::unlink(std::uint32_t block) {
  const Slab& at = slab(block);
  (at.previous == kNone ? heads_[at.size_class] : slab(at.previous).next) = at.next;
  if (at.next != kNone) {
    slab(at.next).previous = at.previous;
  }
  if (heads_[at.size_class] == kNone) {
    classes_ &= ~(1u << at.size_class);
  }
}

// Recovery.

bool SlabHeap::adopt(std::uint32_t frame) {
  const std::uint32_t block = frame / memory::kSlabFrames;
  const FrameRecord& record = table_.arena_.record(frame);
  if (frame % memory::kSlabFrames != 0 || block >= table_.slabs_.size() ||
      seal_of(record) != record.seal || record.index >= kSlotClasses || record.object != owner_) {
    return false;
  }
  for (std::uint32_t other = frame + 1; other < frame + memory::kSlabFrames; ++other) {
    if (memory::load_state(table_.arena_.record(other)) != FrameState::kFree) {
      return false;
    }
  }
  const std::lock_guard lock(mutex_);
  recovering_ = true;
  begin_slab(block, static_cast<std::uint8_t>(record.index));
  account_.charge(memory::kSlabFrames);
  return true;
}

bool SlabHeap::claim(std::uint32_t place) {
  const std::uint32_t block = place / SlabTable::kPlaces;
  const std::lock_guard lock(mutex_);
  if (block >= table_.slabs_.size() || slab(block).owner != owner_) {
    return false;
  }
  const std::uint32_t granules = granules_of(slab(block).size_class);
  const std::uint32_t slot = place % SlabTable::kPlaces / granules;
  const bool there = place % SlabTable::kPlaces % granules == 0 && slot < kSlotsMax &&
                     (slab(block).free >> slot & 1) != 0;
  if (there) {
    take_slot(block, slot);
  }
  return there;
}

void SlabHeap::finish_recovery() {
  const std::lock_guard lock(mutex_);
  recovering_ = false;
  for (std::size_t size_class = 0; size_class < kSlotClasses; ++size_class) {
    std::uint32_t block = heads_[size_class];
    while (block != kNone) {
      const std::uint32_t next = slab(block).next;
      if (slab(block).free == all_free(size_class)) {
        free_slab(block);
      }
      block = next;
    }
  }
}

}  // namespace fallow::tmem
