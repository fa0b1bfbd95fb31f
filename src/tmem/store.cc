#include "tmem/store.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "memory/page_copy.h"
#include "tmem/store_slots.h"

namespace fallow::tmem {

using memory::FrameAddress;
using memory::FrameRecord;
using memory::FrameState;

// What frames cost beyond themselves: 40 bytes of table, 22 of index and links, for each frame and
// each of the pattern records. An arena for compressed pages has as much again for each slot's
// record.
static_assert((sizeof(FrameRecord) + PageIndex::kBytesPerRecord) * 9 / 8 * 50 < kPageSize,
              "memory beyond frames must stay under 2% of them");

namespace {

// Adds the time from its making to its end to a histogram, for one operation in kLatencySampling.
class Sample {
 public:
  Sample(const Clock& clock, std::uint64_t operation, Histogram& histogram)
      : clock_(clock),
        histogram_(operation % Store::kLatencySampling == 0 ? &histogram : nullptr),
        start_ns_(histogram_ != nullptr ? clock.now_ns() : 0) {}
  ~Sample() {
    if (histogram_ != nullptr) {
      histogram_->add(clock_.now_ns() - start_ns_);
    }
  }
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;

 private:
  const Clock& clock_;
  Histogram* histogram_;
  std::uint64_t start_ns_;
};

// A page in a slot frees a frame only with the last of its slab's; a put looks at so many of them.
constexpr unsigned kVictimsMax = 16;

// All of the record but its state.
void write_record(memory::Arena& arena, std::uint32_t number, const PageKey& key,
                  std::uint64_t content, std::uint32_t generation) {
  FrameRecord& record = arena.record(number);
  record.object = key.object;
  record.content = content;
  record.index = key.index;
  record.pool = key.pool.value;
  record.generation = generation;
  record.epoch = arena.epoch().value;
  record.owner = arena.node().value;
  record.seal = seal_of(record);
}

std::uint64_t seed_from_kernel() {
  std::uint64_t seed = 0;
  CHECK(::getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::create(memory::Arena& arena, const Clock& clock,
                                             const StoreOptions& options) {
  const std::uint64_t seed = options.hash_seed != 0 ? options.hash_seed : seed_from_kernel();
  std::unique_ptr<Store> store(new Store(arena, clock, seed));
  store->recover();
  return store;
}

Store::Store(memory::Arena& arena, const Clock& clock, std::uint64_t seed)
    : arena_(arena),
      clock_(clock),
      zone_(arena.node(), arena.frame_records()),
      index_({&arena.record(0), arena.records()}, seed),
      free_patterns_(arena.frame_records(), arena.patterns()),
      free_slots_(arena.frame_records() + arena.patterns(), arena.slots()),
      slabs_(arena, zone_) {
  for (auto& age : oldest_ephemeral_) {
    age.store(kNoAge, std::memory_order_relaxed);
  }
}

Store::~Store() {
  for (auto& slot : clients_) {
    delete slot.load();
  }
  for (auto& slot : pools_) {
    delete slot.load();
  }
}

Store::Client* Store::client_of(ClientId id) const {
  Client* client = clients_[id.value % memory::kClientsMax].load(std::memory_order_acquire);
  const bool current =
      client != nullptr && id.value != 0 && client->id.load(std::memory_order_acquire) == id.value;
  return current ? client : nullptr;
}

Store::Pool* Store::find_pool(PoolId id) const {
  // acquire: pairs with the release in create_pool(), which follows the pool's making.
  Pool* pool = pools_[id.value % memory::kPoolsMax].load(std::memory_order_acquire);
  const bool current =
      pool != nullptr && id.value != 0 && pool->id.load(std::memory_order_acquire) == id.value;
  return current ? pool : nullptr;
}

// Put.

PutResult Store::put(const PageKey& key, const std::byte* page) {
  Pool* pool = find_pool(key.pool);
  if (pool == nullptr) {
    return PutResult::kNoPool;
  }
  Account& account = *pool->account.load(std::memory_order_relaxed);
  const std::uint64_t number = Account::count(account.puts_total);
  const Sample sample(clock_, number, account.put_ns);
  const PageIndex::Place place = index_.place_of(key);
  index_.prefetch(place);  // what finds the key comes while the page is looked at
  Put put{key, page, *pool, account, place, next_age(*pool, number), word_of(account, page),
          0,   {},   0};
  const auto refusal = refuse_early(put);
  const PutResult result =
      refusal ? *refusal
              : (account.compresses() && !put.word ? put_packed(put) : lock_and_put(put));
  if (recorder_.on()) [[unlikely]] {
    record_put(put, result);
  }
  return result;
}

void Store::record_put(const Put& put, PutResult result) {
  using recording::Outcome;
  const Outcome stored = put.word ? Outcome::kWithoutFrame : Outcome::kDone;
  record(recording::Kind::kPut, put.key, result == PutResult::kStored ? stored : Outcome::kNot);
}

void Store::note_operation(recording::Kind kind, const PageKey& key, recording::Outcome outcome) {
  if (const Pool* pool = find_pool(key.pool)) {
    recorder_.note({.object = key.object,
                    .index = key.index,
                    .pool = key.pool.value,
                    .client = pool->client.load(std::memory_order_relaxed),
                    .kind = kind,
                    .outcome = outcome});
  }
}

PutResult Store::lock_and_put(Put& put) {
  const std::lock_guard lock(put.place.shard->mutex);
  const PutResult result = put_locked(put);
  if (result == PutResult::kStored) {
    Account::count(put.account.puts_succ);
  }
  return result;
}

// Not asked for when no record is free for it or the client's pools are closed: the page need not
// be touched to be refused.
std::optional<std::uint64_t> Store::word_of(const Account& account, const std::byte* page) const {
  const bool usable = account.target() != 0 && !free_patterns_.empty();
  return usable ? memory::repeated_word(page) : std::nullopt;
}

// A put of a new page that cannot succeed is refused without a lock. (When the key may exist, its
// old page must go first.)
std::optional<PutResult> Store::refuse_early(const Put& put) const {
  if (index_.may_contain(put.place) || put.word) {
    return std::nullopt;
  }
  const bool over_target = put.account.used() >= put.account.target();
  if (!over_target &&
      (zone_.free_frames() != 0 || ephemeral_pages_.load(std::memory_order_relaxed) != 0)) {
    return std::nullopt;
  }
  if (put.account.compresses() && may_find_slot(put)) {
    return std::nullopt;
  }
  return over_target ? PutResult::kOverTarget : PutResult::kNoFrame;
}

Age Store::next_age(const Pool& pool, std::uint64_t put_number) {
  if (pool.kind.load(std::memory_order_relaxed) == PoolKind::kPersistent) {
    return static_cast<Age>(put_number);
  }
  return ephemeral_age_.fetch_add(1, std::memory_order_relaxed);
}

PutResult Store::put_locked(Put& put) {
  if (put.pool.id.load(std::memory_order_acquire) != put.key.pool.value) {
    return PutResult::kNoPool;
  }
  const std::uint32_t record = index_.find(put.place, put.key);
  return record == kNoRecord ? insert(put) : replace(put, record);
}

// A replacement counts as a flush and a put: it is refused when even without the old page the
// client would be at its target. When key and page move between records, the new one is whole
// before the old one goes.
PutResult Store::replace(Put& put, std::uint32_t record) {
  put.generation = arena_.record(record).generation + 1;
  const bool closed = put.account.target() == 0;
  if (!closed && is_pattern(record)) {
    if (put.word) {
      return replace_in_record(put, record);
    }
    const PutResult result = insert(put);
    remove(put.pool, put.place, record);
    return result;
  }
  if (!closed && put.word && insert_pattern(put)) {
    remove(put.pool, put.place, record);
    return PutResult::kStored;
  }
  if (closed || put.account.used() > put.account.target()) {
    remove(put.pool, put.place, record);
    return PutResult::kOverTarget;
  }
  return put.packed.empty() && is_frame(record) ? replace_in_frame(put, record)
                                                : replace_moving(put, record);
}

// The shard's spare frame takes the new page, and what the old one was in becomes the spare.
PutResult Store::replace_in_frame(Put& put, std::uint32_t old) {
  const std::uint32_t record = put.place.shard->spare;
  memory::publish(arena_.record(record), FrameState::kFilling);
  seal_record(put, record, memory::copy_into_frame(arena_.frame(record), put.page));
  AgeList& list = list_of(put.pool, *put.place.shard, old);
  list.remove(index_.links(), old);
  list.push_newest(index_.links(), record, put.age);
  index_.erase(put.place, old);
  index_.insert(put.place, record);
  memory::publish(arena_.record(old), FrameState::kFree);
  put.place.shard->spare = old;
  note_oldest_ephemeral(*put.place.shard);
  return PutResult::kStored;
}

// Over the old page, in the record and slot that it has: for a page of one repeated word, and where
// no other slot is to be had. The shard's spare tells meanwhile what the record is to become.
PutResult Store::replace_in_record(Put& put, std::uint32_t record) {
  const std::uint32_t spare = put.place.shard->spare;
  FrameRecord& redo = arena_.record(spare);
  memory::publish(redo, FrameState::kFilling);
  if (is_slot(record)) {
    std::memcpy(arena_.frame(spare), put.packed.data(), put.packed.size());
  }
  const PageKey target{put.key.pool, record, static_cast<std::uint32_t>(put.packed.size())};
  write_record(arena_, spare, target, content_of(put, record), put.generation);
  memory::publish(redo, FrameState::kRedo);
  seal_record(put, record, write_content(put, record));
  memory::publish(redo, FrameState::kFree);
  AgeList& list = list_of(put.pool, *put.place.shard, record);
  list.remove(index_.links(), record);
  list.push_newest(index_.links(), record, put.age);
  return PutResult::kStored;
}

// 004, Algorithm 1, lines 4-15.
PutResult Store::insert(Put& put) {
  if (put.account.target() == 0) {
    return PutResult::kOverTarget;
  }
  if (put.word && insert_pattern(put)) {
    return PutResult::kStored;
  }
  if (!put.packed.empty() && insert_slot(put)) {
    return PutResult::kStored;
  }
  if (!put.account.try_charge()) {
    return PutResult::kOverTarget;
  }
  const PutResult result = insert_frame(put);
  if (result != PutResult::kStored) {
    put.account.uncharge();
  }
  return result;
}

PutResult Store::insert_frame(Put& put) {
  const auto frame = take_frame(*put.place.shard);
  if (!frame) {
    return PutResult::kNoFrame;
  }
  const std::uint32_t record = frame->frame;  // the local zone's frames are the table's
  memory::publish(arena_.record(record), FrameState::kFilling);
  seal_record(put, record, write_content(put, record));
  link(put, record);
  return PutResult::kStored;
}

bool Store::insert_pattern(Put& put) {
  const auto record = free_patterns_.take();
  if (!record) {
    return false;
  }
  memory::publish(arena_.record(*record), FrameState::kFilling);
  seal_record(put, *record, write_content(put, *record));
  link(put, *record);
  Account::count(put.account.patterns);
  return true;
}

// Puts the page where the record says, and returns what the record is to say of it.
std::uint64_t Store::write_content(const Put& put, std::uint32_t record) {
  if (is_frame(record)) {
    return memory::copy_into_frame(arena_.frame(record), put.page);
  }
  if (is_slot(record)) {
    std::memcpy(arena_.slot(slot_place(arena_.record(record))), put.packed.data(),
                put.packed.size());
  }
  return content_of(put, record);
}

// Of a pattern's or a slot's record.
std::uint64_t Store::content_of(const Put& put, std::uint32_t record) const {
  return is_pattern(record)
             ? *put.word
             : memory::slot_content(slot_place(arena_.record(record)), put.packed_sum);
}

// Fills the record in and declares its page whole.
void Store::seal_record(const Put& put, std::uint32_t number, std::uint64_t content) {
  write_record(arena_, number, put.key, content, put.generation);
  memory::publish(arena_.record(number), FrameState::kHeld);
}

void Store::link(const Put& put, std::uint32_t record) {
  index_.insert(put.place, record);
  list_of(put.pool, *put.place.shard, record).push_newest(index_.links(), record, put.age);
  if (!is_pattern(record) &&
      put.pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral) {
    ephemeral_pages_.fetch_add(1, std::memory_order_relaxed);
    note_oldest_ephemeral(*put.place.shard);
  }
}

AgeList& Store::list_of(Pool& pool, Shard& shard, std::uint32_t record) {
  if (is_pattern(record)) {
    return pool.patterns[shard.number];
  }
  return pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral
             ? shard.ephemeral
             : pool.frames[shard.number];
}

// Ephemeral pages give way.

std::optional<FrameAddress> Store::take_frame(Shard& locked) {
  for (unsigned victims = 0; victims < kVictimsMax; ++victims) {
    if (const auto frame = zone_.allocate_frame()) {
      return frame;
    }
    if (ephemeral_pages_.load(std::memory_order_relaxed) == 0) {
      return std::nullopt;
    }
    const std::uint32_t record = evict_ephemeral(locked);
    if (record == kNoRecord) {
      return std::nullopt;
    }
    if (is_frame(record)) {
      return FrameAddress{arena_.node(), record};
    }
  }
  return zone_.allocate_frame();
}

// Evicts the least recently used ephemeral page of all shards and returns its record. When its
// shard is busy the caller's own shard must do; when that has none either, the put is refused
// rather than waiting.
std::uint32_t Store::evict_ephemeral(Shard& locked) {
  const Age now = ephemeral_age_.load(std::memory_order_relaxed);
  Shard* victim = nullptr;
  Age victim_distance = 0;
  for (Shard& shard : index_.shards()) {
    const std::uint64_t age = oldest_ephemeral_[shard.number].load(std::memory_order_relaxed);
    const Age distance = now - static_cast<Age>(age);
    if (age != kNoAge && (victim == nullptr || distance > victim_distance)) {
      victim = &shard;
      victim_distance = distance;
    }
  }
  if (victim != nullptr && victim != &locked) {
    const std::unique_lock lock(victim->mutex, std::try_to_lock);
    const std::uint32_t record = lock.owns_lock() ? evict_oldest_of(*victim) : kNoRecord;
    if (record != kNoRecord) {
      return record;
    }
  }
  return evict_oldest_of(locked);
}

// A frame stays allocated: it goes straight to its next page. A slot is freed.
std::uint32_t Store::evict_oldest_of(Shard& shard) {
  const std::uint32_t record = shard.ephemeral.oldest();
  if (record == kNoRecord) {
    return record;
  }
  const FrameRecord& at = arena_.record(record);
  const PageIndex::Place place = index_.place_of({PoolId(at.pool), at.object, at.index});
  // The slot serves this pool until destroy_pool() has swept this shard, so its account is right.
  Pool& pool = *pools_[at.pool % memory::kPoolsMax].load();
  if (is_frame(record)) {
    detach(pool, place, record);
  } else {
    remove(pool, place, record);
  }
  Account::count(pool.account.load(std::memory_order_relaxed)->pages_evicted);
  return record;
}

void Store::note_oldest_ephemeral(Shard& shard) {
  const std::uint32_t record = shard.ephemeral.oldest();
  oldest_ephemeral_[shard.number].store(record == kNoRecord ? kNoAge : index_.links()[record].age,
                                        std::memory_order_relaxed);
}

// Get and flush.

GetResult Store::get(const PageKey& key, std::byte* page) {
  Pool* pool = find_pool(key.pool);
  if (pool == nullptr) {
    return GetResult::kMissing;
  }
  Account& account = *pool->account.load(std::memory_order_relaxed);
  const std::uint64_t number = Account::count(account.gets_total);
  const Sample sample(clock_, number, account.get_ns);
  const GetResult result = find_and_copy(*pool, key, page);
  if (result == GetResult::kFound) {
    Account::count(account.gets_succ);
  }
  using recording::Outcome;
  record(recording::Kind::kGet, key, result == GetResult::kFound ? Outcome::kDone : Outcome::kNot);
  return result;
}

GetResult Store::find_and_copy(Pool& pool, const PageKey& key, std::byte* page) {
  const PageIndex::Place place = index_.place_of(key);
  const std::lock_guard lock(place.shard->mutex);
  const std::uint32_t record = index_.find(place, key);
  if (record == kNoRecord) {
    return pool.suspect.load(std::memory_order_relaxed) ? GetResult::kLost : GetResult::kMissing;
  }
  if (memory::load_state(arena_.record(record)) != FrameState::kHeld) {
    return GetResult::kLost;  // recovery found it overwritten halfway, or damaged
  }
  const bool ephemeral = pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral;
  if (is_pattern(record)) {
    memory::fill_page(page, arena_.record(record).content);
  } else {
    if (is_frame(record)) {
      memory::copy_from_frame(page, arena_.frame(record));
    } else if (!read_slot(record, page)) {
      return ephemeral ? GetResult::kMissing : GetResult::kLost;
    }
    if (ephemeral) {
      place.shard->ephemeral.remove(index_.links(), record);
      place.shard->ephemeral.push_newest(index_.links(), record, next_age(pool, 0));
      note_oldest_ephemeral(*place.shard);
    }
  }
  return GetResult::kFound;
}

// Its first line: the processor follows where that leads.
void Store::prefetch_page(const PageKey& key) {
  const std::uint32_t record = index_.guess(index_.place_of(key));
  if (is_frame(record)) {
    __builtin_prefetch(&arena_.record(record));
    __builtin_prefetch(arena_.frame(record));
  }
}

bool Store::flush_page(const PageKey& key) {
  if (Pool* pool = find_pool(key.pool)) {
    Account::count(pool->account.load(std::memory_order_relaxed)->flushes_total);
  }
  record(recording::Kind::kFlush, key, recording::Outcome::kDone);
  return flush_counted(key, &Account::pages_flushed);
}

bool Store::drop_demoted(const PageKey& key) {
  return flush_counted(key, &Account::pages_demoted);
}

bool Store::flush_counted(const PageKey& key, Account::Counter Account::*counter) {
  Pool* pool = find_pool(key.pool);
  if (pool == nullptr) {
    return false;
  }
  const PageIndex::Place place = index_.place_of(key);
  const std::lock_guard lock(place.shard->mutex);
  const std::uint32_t record = index_.find(place, key);
  if (record == kNoRecord) {
    return false;
  }
  remove(*pool, place, record);
  Account::count(pool->account.load(std::memory_order_relaxed)->*counter);
  return true;
}

// 004, Algorithm 1, lines 23-26. The shard is locked.
void Store::remove(Pool& pool, const PageIndex::Place& place, std::uint32_t record) {
  const bool slot = has_slot(record);
  detach(pool, place, record);
  if (is_frame(record)) {
    zone_.free_frame({arena_.node(), record});
  } else if (is_pattern(record)) {
    free_patterns_.give(record);
  } else {
    if (slot) {
      pool.slabs.load(std::memory_order_relaxed)->release(slot_place(arena_.record(record)));
    }
    free_slots_.give(record);
  }
}

// The record holds nothing any more, and is not yet free to be taken.
void Store::detach(Pool& pool, const PageIndex::Place& place, std::uint32_t record) {
  Account& account = *pool.account.load(std::memory_order_relaxed);
  memory::publish(arena_.record(record), FrameState::kFree);
  index_.erase(place, record);
  list_of(pool, *place.shard, record).remove(index_.links(), record);
  if (is_pattern(record)) {
    account.patterns.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  if (pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral) {
    ephemeral_pages_.fetch_sub(1, std::memory_order_relaxed);
    note_oldest_ephemeral(*place.shard);
  }
  if (is_frame(record)) {
    account.uncharge();
  }
}

std::uint64_t Store::flush_object(PoolId id, std::uint64_t object) {
  Pool* pool = find_pool(id);
  if (pool == nullptr) {
    return 0;
  }
  Account& account = *pool->account.load(std::memory_order_relaxed);
  Account::count(account.flushes_total);
  record(recording::Kind::kFlushObject, {id, object, 0}, recording::Outcome::kDone);
  const std::uint64_t pages = remove_matching(*pool, id, object);
  account.pages_flushed.fetch_add(pages, std::memory_order_relaxed);
  return pages;
}

std::uint64_t Store::flush_part(PoolId id, std::optional<std::uint64_t> object,
                                std::uint32_t part) {
  Pool* pool = find_pool(id);
  if (pool == nullptr) {
    return 0;
  }
  Account& account = *pool->account.load(std::memory_order_relaxed);
  if (part == 0) {
    Account::count(account.flushes_total);
    record(object ? recording::Kind::kFlushObject : recording::Kind::kFlushPool,
           {id, object.value_or(0), 0}, recording::Outcome::kDone);
  }
  const std::uint64_t pages = remove_from_shard(*pool, id, index_.shards()[part], object);
  account.pages_flushed.fetch_add(pages, std::memory_order_relaxed);
  return pages;
}

// Removes the pool's pages, or those of one object, shard by shard.
std::uint64_t Store::remove_matching(Pool& pool, PoolId id, std::optional<std::uint64_t> object) {
  std::uint64_t pages = 0;
  for (Shard& shard : index_.shards()) {
    pages += remove_from_shard(pool, id, shard, object);
  }
  return pages;
}

std::uint64_t Store::remove_from_shard(Pool& pool, PoolId id, Shard& shard,
                                       std::optional<std::uint64_t> object) {
  const std::lock_guard lock(shard.mutex);
  std::uint64_t pages = remove_from_list(pool, id, pool.frames[shard.number], object);
  pages += remove_from_list(pool, id, pool.patterns[shard.number], object);
  if (pool.kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral) {
    pages += remove_from_list(pool, id, shard.ephemeral, object);
  }
  return pages;
}

std::uint64_t Store::remove_from_list(Pool& pool, PoolId id, AgeList& list,
                                      std::optional<std::uint64_t> object) {
  std::uint64_t pages = 0;
  std::uint32_t at = list.oldest();
  while (at != kNoRecord) {
    const std::uint32_t next = index_.links()[at].age_next;
    const FrameRecord& record = arena_.record(at);
    if (record.pool == id.value && (!object || record.object == *object)) {
      remove(pool, index_.place_of({id, record.object, record.index}), at);
      ++pages;
    }
    at = next;
  }
  return pages;
}

// Looking at all of a pool.

void Store::visit_pages(PoolId id,
                        const std::function<void(const PageKey&, PageCondition)>& visit) {
  Pool* pool = find_pool(id);
  if (pool == nullptr) {
    return;
  }
  const auto visit_list = [&](const AgeList& list) {
    for (std::uint32_t at = list.oldest(); at != kNoRecord; at = index_.links()[at].age_next) {
      FrameRecord& record = arena_.record(at);
      if (record.pool == id.value) {
        const bool held = memory::load_state(record) == FrameState::kHeld;
        visit({id, record.object, record.index},
              held ? PageCondition::kWhole : PageCondition::kLost);
      }
    }
  };
  for (Shard& shard : index_.shards()) {
    const std::lock_guard lock(shard.mutex);
    visit_list(pool->frames[shard.number]);
    visit_list(pool->patterns[shard.number]);
    if (pool->kind.load(std::memory_order_relaxed) == PoolKind::kEphemeral) {
      visit_list(shard.ephemeral);
    }
  }
}

// Demotion.

std::size_t Store::oldest(PoolId id, std::span<PageKey> keys) {
  Pool* pool = find_pool(id);
  if (pool == nullptr || keys.empty()) {
    return 0;
  }
  struct Candidate {
    Age age;
    PageKey key;
  };
  std::vector<Candidate> candidates;
  const std::size_t per_shard = std::min(keys.size(), 8 + 2 * keys.size() / PageIndex::kShards);
  for (Shard& shard : index_.shards()) {
    const std::lock_guard lock(shard.mutex);
    std::uint32_t at = pool->frames[shard.number].oldest();
    for (std::size_t i = 0; i < per_shard && at != kNoRecord; ++i) {
      const FrameRecord& record = arena_.record(at);
      candidates.push_back({index_.links()[at].age, {id, record.object, record.index}});
      at = index_.links()[at].age_next;
    }
  }
  const std::size_t count = std::min(keys.size(), candidates.size());
  const auto by_age = [](const Candidate& a, const Candidate& b) { return older(a.age, b.age); };
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates.end(), by_age);
  for (std::size_t i = 0; i < count; ++i) {
    keys[i] = candidates[i].key;
  }
  return count;
}

}  // namespace fallow::tmem
