// Store's way back from the frame table of a life before (frame_table.h tells the crash story).
// Single-threaded: nobody else has the store yet.

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "memory/page_copy.h"
#include "tmem/packing.h"
#include "tmem/store.h"
#include "tmem/store_slots.h"

namespace fallow::tmem {

using memory::FrameRecord;
using memory::FrameState;

namespace {

constexpr std::uint64_t kLostPagesLogged = 16;

std::string name_of(const memory::ClientRecord& record) {
  return {record.name, ::strnlen(record.name, sizeof record.name)};
}

}  // namespace

void Store::recover() {
  const std::uint64_t start_ns = clock_.now_ns();
  if (arena_.recovered()) {
    recover_clients();
    recover_pools();
    redo_replacements();
    recover_slabs();
    for (std::uint32_t record = 0; record < arena_.frame_records() + arena_.patterns(); ++record) {
      recover_record(record);
    }
  }
  free_unused();
  recover_slots();
  if (arena_.recovered()) {
    count_recovered();
  }
  recovery_.elapsed_ns = clock_.now_ns() - start_ns;
}

void Store::recover_clients() {
  for (std::uint32_t i = 0; i < memory::kClientsMax; ++i) {
    memory::ClientRecord& record = arena_.clients()[i];
    if (record.id == 0) {
      continue;
    }
    const std::string name = name_of(record);
    if (record.id % memory::kClientsMax != i || !check_name(name)) {
      log_error("client_record_damaged", {{"slot", i}});
      record.id = 0;
      continue;
    }
    Client& client = *make_client_slot(i);
    client.name = name;
    client.account.set_target(record.target);
    client.account.set_compresses(arena_.slots() != 0 && record.compression != 0);
    client.slabs.set_owner(ClientId(record.id));
    client.id.store(record.id);
  }
}

void Store::recover_pools() {
  for (std::uint32_t i = 0; i < memory::kPoolsMax; ++i) {
    memory::PoolRecord& record = arena_.pools()[i];
    if (record.id == 0) {
      continue;
    }
    Client* client = client_of(ClientId(record.client));
    const std::uint32_t kind = record.kind & ~memory::kSuspectPool;
    const bool known_kind = kind <= static_cast<std::uint32_t>(PoolKind::kEphemeral);
    if (record.id % memory::kPoolsMax != i || client == nullptr || !known_kind) {
      record.id = 0;  // its client was being removed
      continue;
    }
    Pool& pool = *make_pool_slot(i);
    pool.account.store(&client->account);
    pool.slabs.store(&client->slabs);
    pool.client = record.client;
    pool.kind.store(static_cast<PoolKind>(kind));
    pool.suspect.store((record.kind & memory::kSuspectPool) != 0);
    pool.id.store(record.id);
  }
}

void Store::recover_record(std::uint32_t number) {
  FrameRecord& record = arena_.record(number);
  const FrameState state = memory::load_state(record);
  if (state == FrameState::kFree || (state == FrameState::kSlab && slabs_.contains(number))) {
    return;
  }
  if (state == FrameState::kFilling) {
    ++recovery_.unfinished;
    memory::publish(record, FrameState::kFree);
    return;
  }
  const bool lost = state == FrameState::kLost;
  if (!lost && (state != FrameState::kHeld || seal_of(record) != record.seal)) {
    if (recovery_.damaged_records++ == 0) {
      suspect_all_pools();
    }
    memory::publish(record, FrameState::kFree);
    return;
  }
  Pool* pool = find_pool(PoolId(record.pool));
  if (pool == nullptr) {
    memory::publish(record, FrameState::kFree);  // the pool was being destroyed
    return;
  }
  const bool ephemeral = pool->kind.load() == PoolKind::kEphemeral;
  const bool whole = !lost && is_whole(*pool, number);
  if (!whole && ephemeral) {
    memory::publish(record, FrameState::kFree);
    return;
  }
  if (!whole) {
    memory::publish(record, FrameState::kLost);
  }
  adopt(*pool, number);
}

bool Store::is_whole(Pool& pool, std::uint32_t number) {
  if (is_frame(number)) {
    return memory::page_checksum(arena_.frame(number)) == arena_.record(number).content;
  }
  return is_pattern(number) || claim_slot(pool, number);
}

// Takes the slot for the record when it is one of the client's and holds what the record says.
bool Store::claim_slot(Pool& pool, std::uint32_t number) {
  const FrameRecord& record = arena_.record(number);
  SlabHeap& slabs = *pool.slabs.load();
  if (!slabs.claim(slot_place(record))) {
    return false;
  }
  const auto packed = packed_of(number);
  const bool whole = !packed.empty() && packed_checksum(packed) == slot_checksum(record);
  if (!whole) {
    slabs.release(slot_place(record));
  }
  return whole;
}

// What a life that was killed was replacing within records, it had written down in spares.
void Store::redo_replacements() {
  for (std::uint32_t number = 0; number < arena_.frame_records(); ++number) {
    FrameRecord& redo = arena_.record(number);
    if (memory::load_state(redo) != FrameState::kRedo) {
      continue;
    }
    if (seal_of(redo) != redo.seal || !redo_replacement(redo, arena_.frame(number))) {
      log_error("redo_record_damaged", {{"frame", number}});
    }
    memory::publish(redo, FrameState::kFree);
  }
}

bool Store::redo_replacement(const FrameRecord& redo, const std::byte* packed) {
  if (redo.object < arena_.frame_records() || redo.object >= arena_.records()) {
    return false;
  }
  const auto number = static_cast<std::uint32_t>(redo.object);
  FrameRecord& record = arena_.record(number);
  if (is_slot(number)) {
    const std::uint32_t place = slot_place(record);
    const std::uint64_t end = place * memory::kSlotGranule + redo.index;
    if (place != slot_place(redo) || redo.index > kSlotBytesMax ||
        end > std::uint64_t{arena_.frame_records()} << kPageShift) {
      return false;
    }
    std::memcpy(arena_.slot(place), packed, redo.index);
  }
  record.content = redo.content;
  record.generation = redo.generation;
  record.epoch = redo.epoch;
  record.seal = seal_of(record);
  memory::publish(record, FrameState::kHeld);
  return true;
}

// The slabs first, so that frames and slots know which frames are theirs. One whose record is
// damaged is given up, and its pages with it: their keys are good.
void Store::recover_slabs() {
  for (std::uint32_t number = 0; number < arena_.frame_records(); ++number) {
    FrameRecord& record = arena_.record(number);
    if (memory::load_state(record) != FrameState::kSlab) {
      continue;
    }
    Client* owner = client_of(ClientId(static_cast<std::uint32_t>(record.object)));
    if (owner == nullptr || !owner->slabs.adopt(number)) {
      log_error("slab_record_damaged", {{"frame", number}});
      memory::publish(record, FrameState::kFree);
    }
  }
}

// The slots last, when every other record and frame that holds nothing is free to be taken already:
// then whatever one of them displaces can be freed as in ordinary life.
void Store::recover_slots() {
  const std::uint32_t first = arena_.frame_records() + arena_.patterns();
  for (std::uint32_t number = first; number < arena_.records(); ++number) {
    recover_record(number);
    if (memory::load_state(arena_.record(number)) == FrameState::kFree) {
      free_slots_.give(number);
    }
  }
  for (auto& slot : clients_) {
    if (Client* client = slot.load()) {
      client->slabs.finish_recovery();
    }
  }
}

// Links the record, unless its key has a newer one. Of two the newer counts: the older was about to
// be freed when the daemon died.
void Store::adopt(Pool& pool, std::uint32_t number) {
  FrameRecord& record = arena_.record(number);
  const PageKey key{PoolId(record.pool), record.object, record.index};
  const PageIndex::Place place = index_.place_of(key);
  if (const std::uint32_t other = index_.find(place, key); other != kNoRecord) {
    if (!memory::newer_generation(record.generation, arena_.record(other).generation)) {
      const bool slot = has_slot(number);
      memory::publish(record, FrameState::kFree);
      if (slot) {
        pool.slabs.load()->release(slot_place(record));
      }
      return;
    }
    if (is_slot(number)) {
      remove(pool, place, other);
    } else {
      detach(pool, place, other);
    }
  }
  index_.insert(place, number);
  list_of(pool, *place.shard, number).push_newest(index_.links(), number, 0);
  Account& account = *pool.account.load();
  if (is_pattern(number)) {
    account.patterns.fetch_add(1);
    return;
  }
  if (is_frame(number)) {
    account.charge();
  }
  if (pool.kind.load() == PoolKind::kEphemeral) {
    ephemeral_pages_.fetch_add(1);
    note_oldest_ephemeral(*place.shard);
  }
}

// A page of unknown key is lost: from now on what a persistent pool misses may be that page.
void Store::suspect_all_pools() {
  for (std::uint32_t i = 0; i < memory::kPoolsMax; ++i) {
    Pool* pool = pools_[i].load();
    if (pool != nullptr && pool->kind.load() == PoolKind::kPersistent) {
      pool->suspect.store(true);
      arena_.pools()[i].kind |= memory::kSuspectPool;
    }
  }
}

void Store::count_recovered() {
  for (std::uint32_t number = 0; number < arena_.records(); ++number) {
    const FrameRecord& record = arena_.record(number);
    const FrameState state = memory::load_state(arena_.record(number));
    if (state == FrameState::kHeld) {
      ++(is_frame(number)     ? recovery_.pages
         : is_pattern(number) ? recovery_.patterns
                              : recovery_.compressed);
    } else if (state == FrameState::kLost && recovery_.lost++ < kLostPagesLogged) {
      log_error("page_lost",
                {{"pool", record.pool}, {"object", record.object}, {"index", record.index}});
    }
  }
  if (recovery_.lost + recovery_.damaged_records > 0) {
    log_error("pages_lost",
              {{"pages", recovery_.lost}, {"damaged_records", recovery_.damaged_records}});
  }
}

// Whatever holds nothing can be had, but for the spares. There are enough: a life that held all
// frames still had its spares.
void Store::free_unused() {
  const auto is_free = [this](std::uint32_t number) {
    return memory::load_state(arena_.record(number)) == FrameState::kFree &&
           !slabs_.contains(number);
  };
  std::uint32_t at = arena_.frame_records();
  for (Shard& shard : index_.shards()) {
    do {
      CHECK(at > 0);
      --at;
    } while (!is_free(at));
    shard.spare = at;
  }
  for (std::uint32_t first = 0; first < at;) {
    std::uint32_t end = first;
    while (end < at && is_free(end)) {
      ++end;
    }
    if (end > first) {
      zone_.add_free(first, end - first);
    }
    first = end + 1;
  }
  for (std::uint32_t i = 0; i < arena_.patterns(); ++i) {
    if (is_free(arena_.frame_records() + i)) {
      free_patterns_.give(arena_.frame_records() + i);
    }
  }
}

}  // namespace fallow::tmem
