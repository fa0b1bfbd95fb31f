// Store's compressed pages: in slots of their client's slabs.

#include <cstring>

#include "base/log.h"
#include "tmem/packing.h"
#include "tmem/store.h"
#include "tmem/store_slots.h"

namespace fallow::tmem {

using memory::FrameRecord;
using memory::FrameState;

// What compression costs for each record that it may use, in an arena that is made for it.
static_assert(sizeof(FrameRecord) + PageIndex::kBytesPerRecord == 62);

namespace {

constexpr std::uint64_t kDamagedSlotsLogged = 16;

}  // namespace

// A put at the target, or without a free frame, can still succeed.
bool Store::may_find_slot(const Put& put) const {
  return put.account.used() <= put.account.target() &&
         put.pool.slabs.load(std::memory_order_relaxed)->free_slots() != 0;
}

// The page is read once: what is packed, and what a frame gets when packing does not help, is this
// copy.
PutResult Store::put_packed(Put& put) {
  alignas(64) std::byte copy[kPageSize];
  PackBuffer buffer;
  std::memcpy(copy, put.page, kPageSize);
  put.page = copy;
  put.packed = pack_page(copy, buffer);
  put.packed_sum = packed_checksum(put.packed);
  return lock_and_put(put);
}

// A client over its target gets no slot either, or it would never shrink.
bool Store::insert_slot(Put& put) {
  if (put.account.used() > put.account.target()) {
    return false;
  }
  const auto number = free_slots_.take();
  if (!number) {
    return false;
  }
  const auto place = put.pool.slabs.load(std::memory_order_relaxed)->take(put.packed.size());
  if (!place) {
    free_slots_.give(*number);
    return false;
  }
  FrameRecord& record = arena_.record(*number);
  memory::publish(record, FrameState::kFilling);
  record.content = memory::slot_content(*place, 0);
  seal_record(put, *number, write_content(put, *number));
  link(put, *number);
  return true;
}

// Replaces a page that is in a slot, or is to be in one: in another slot, so that the old page is
// whole until the new one is; else in a frame when it is in one, or in the slot where it is.
PutResult Store::replace_moving(Put& put, std::uint32_t record) {
  if (!put.packed.empty() && insert_slot(put)) {
    remove(put.pool, put.place, record);
    return PutResult::kStored;
  }
  if (is_frame(record)) {
    return replace_in_frame(put, record);
  }
  const bool fits =
      !put.packed.empty() && has_slot(record) &&
      put.packed.size() <= kSlotBytes[slabs_.class_of(slot_place(arena_.record(record)))];
  return fits ? replace_in_record(put, record) : replace_slot_by_frame(put, record);
}

PutResult Store::replace_slot_by_frame(Put& put, std::uint32_t record) {
  if (put.pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral) {
    remove(put.pool, put.place, record);  // or making room could evict this very page
    return insert(put);
  }
  const PutResult result = insert(put);
  remove(put.pool, put.place, record);
  return result;
}

std::span<const std::byte> Store::packed_of(std::uint32_t record) const {
  const std::uint32_t place = slot_place(arena_.record(record));
  return packed_in({arena_.slot(place), kSlotBytes[slabs_.class_of(place)]});
}

// False, and logged a few times, when the slot does not hold what its record says.
bool Store::read_slot(std::uint32_t record, std::byte* page) {
  const FrameRecord& at = arena_.record(record);
  const auto packed = packed_of(record);
  if (!packed.empty() && packed_checksum(packed) == slot_checksum(at) &&
      unpack_page(packed, page)) {
    return true;
  }
  if (damaged_slots_.fetch_add(1, std::memory_order_relaxed) < kDamagedSlotsLogged) {
    log_error("page_lost", {{"pool", at.pool}, {"object", at.object}, {"index", at.index}});
  }
  return false;
}

}  // namespace fallow::tmem
