// The page store: transcendent memory (004, §1.3.3) with a target for each client (Algorithm 1).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "memory/arena.h"
#include "memory/zone.h"
#include "recording/recorder.h"
#include "tmem/account.h"
#include "tmem/page_index.h"
#include "tmem/page_key.h"
#include "tmem/record_pool.h"
#include "tmem/slab.h"

namespace fallow::tmem {

enum class PoolKind : std::uint8_t {
  kPersistent,  // a put page stays until it is flushed
  kEphemeral,   // a put page may be dropped at any time, least recently used first
};

enum class Compression : std::uint8_t { kOff = 0, kLz4 = 1 };

enum class PutResult : std::uint8_t {
  kStored,
  kOverTarget,  // the client holds its target, or its target is 0: its pools are closed
  kNoFrame,     // no frame is free
  kNoPool,      // no such pool
};

enum class GetResult : std::uint8_t {
  kFound,
  kMissing,
  kLost,  // the page was acknowledged once and did not survive; until it is put or flushed
};

// What is known of a page that recovery found.
enum class PageCondition : std::uint8_t { kWhole, kLost };

// What Store::create() found in an arena of a life before.
struct RecoveryReport {
  std::uint64_t pages = 0;            // whole, in frames
  std::uint64_t compressed = 0;       // whole, in slots
  std::uint64_t patterns = 0;         // whole, without frames
  std::uint64_t unfinished = 0;       // puts that were not acknowledged: gone
  std::uint64_t lost = 0;             // overwritten halfway, or the checksum is wrong: answer kLost
  std::uint64_t damaged_records = 0;  // of unknown keys: any persistent pool may miss a page
  std::uint64_t elapsed_ns = 0;
};

// Proves that a client which comes back, after the daemon's death or its own, is the one that went.
struct ClientSecret {
  std::array<std::uint64_t, 2> words{};
  bool operator==(const ClientSecret&) const = default;
};

struct ClientStatistics {
  ClientId id;
  std::string name;
  std::uint64_t used = 0;      // frames held
  std::uint64_t target = 0;    // frames it may hold
  std::uint64_t patterns = 0;  // pages of one repeated word, held without a frame
  Compression compression = Compression::kOff;
  std::uint64_t compressed_pages = 0;
  std::uint64_t compressed_bytes = 0;  // of the frames, counted in `used`, that hold these pages
  Counters total;                      // since the client came
  Counters interval;                   // of the interval that take_interval() ended, else zero
};

// Put and get times, one operation in kLatencySampling measured.
struct LatencySnapshot {
  Histogram::Snapshot put_ns;
  Histogram::Snapshot get_ns;
};

struct StoreOptions {
  // Secret that spreads keys over the index; 0 asks the kernel for one.
  std::uint64_t hash_seed = 0;
};

// Owns the index, the accounts and the local zone; the frames and their table are the arena's.
//
// Any thread, every method. Operations on pages never allocate, never wait for I/O and hold one
// shard's lock for the time of one page copy, or of unpacking one page. Invariants, all under the
// shard's lock:
//   1. A key has at most one held record; its index entry and its age list agree with it.
//   2. An account's `used` is the number of its held frames and of its slabs' frames, plus those
//      being put at the moment.
//   3. A record is kHeld only while its page is whole (frame_table.h tells the crash story).
//   4. A lock of a second shard is only ever tried, never waited for.
//   5. A slot's record has its slot while it is kHeld, or being written under the lock; a lost
//      page's record has none.
// A put of a key that exists replaces the page; when it is refused the old page is gone too, so
// that nobody reads a stale one. A client whose target is 0 has its pools closed: every put is
// refused. Otherwise a page of one repeated word is stored without a frame and not held to the
// target.
//
// A client that compresses has its pages packed before the lock is taken, from one reading of them;
// a page that a slot can hold goes into one (slab.h) when the client may have the slab, and any
// other into a frame as ever. Slots of slabs that are there are to be had up to the target itself.
class Store {
 public:
  static constexpr std::uint64_t kLatencySampling = 16;

  // `arena` and `clock` must outlive the store. An arena of a life before gives clients, pools,
  // targets and pages back; every page's checksum is verified.
  static Result<std::unique_ptr<Store>> create(memory::Arena& arena, const Clock& clock,
                                               const StoreOptions& options = {});
  ~Store();

  [[nodiscard]] const RecoveryReport& recovery() const { return recovery_; }

  // Clients start with a target of 0. Errors: kExists for a name twice, kFailed when there are too
  // many.
  Result<ClientId> add_client(std::string_view name, const ClientSecret& secret = {});
  // Nothing when there is none.
  [[nodiscard]] std::optional<ClientId> find_client(std::string_view name) const;
  [[nodiscard]] ClientSecret secret_of(ClientId client) const;
  // How long the client wants its pages to wait for it: written down for whoever decides that, and
  // for the next life. 0 at first.
  void set_keep_seconds(ClientId client, std::uint32_t seconds);
  [[nodiscard]] std::uint32_t keep_seconds_of(ClientId client) const;
  // Destroys its pools too.
  Status remove_client(ClientId client);
  Result<PoolId> create_pool(ClientId client, PoolKind kind) {
    return make_pool(client, kind, kNoLabel);
  }
  // The client's pool of that label (which is the client's choice, kNoLabel excepted), made when it
  // is not there. Errors: kInvalid when it is there and of another kind.
  Result<PoolId> open_pool(ClientId client, PoolKind kind, std::uint64_t label);
  static constexpr std::uint64_t kNoLabel = ~std::uint64_t{0};
  [[nodiscard]] bool owns_pool(ClientId client, PoolId pool) const;
  // All its pages are gone when this returns.
  Status destroy_pool(PoolId pool);
  // Unknown clients are ignored: one may leave while a decision about it is on its way.
  void set_target(ClientId client, std::uint64_t frames);
  // How the client's pages are put from now on; those that are held stay as they are. Clients start
  // with kOff. Errors: kNotFound; kInvalid when the arena was made without room for it.
  Status set_compression(ClientId client, Compression compression);

  // `page` is kPageSize readable bytes that a guest may be changing meanwhile: what is stored is
  // one reading of them.
  PutResult put(const PageKey& key, const std::byte* page);
  // Fills kPageSize bytes at `page` when found; leaves them alone otherwise. A page that is missing
  // from a persistent pool is kLost when recovery met records whose keys it could not read.
  GetResult get(const PageKey& key, std::byte* page);
  // For a page that will be put or got soon: brings near what finds it, and some time later itself.
  // Each takes a few nanoseconds and waits for nothing.
  void prefetch_place(const PageKey& key) { index_.prefetch(index_.place_of(key)); }
  void prefetch_page(const PageKey& key);
  // True when there was such a page.
  bool flush_page(const PageKey& key);
  // Number of pages freed. Walks the whole pool.
  std::uint64_t flush_object(PoolId pool, std::uint64_t object);
  // One of kFlushParts parts of flush_object(), or of flushing the whole pool when no object is
  // named, for a caller that has other things to do between them. Part 0 counts as the operation;
  // pages that are put meanwhile into a part that is over stay. Number of pages freed.
  static constexpr std::uint32_t kFlushParts = PageIndex::kShards;
  std::uint64_t flush_part(PoolId pool, std::optional<std::uint64_t> object, std::uint32_t part);

  // Every page of the pool, in no order, shard by shard under its lock: `visit` must be short and
  // may not call the store.
  void visit_pages(PoolId pool, const std::function<void(const PageKey&, PageCondition)>& visit);

  // The pool's pages that were put longest ago, oldest first, in frames and slots (a page without
  // either frees nothing); returns how many of `keys` were filled. For batches of a few shards'
  // worth the order is exact, for larger ones nearly so.
  std::size_t oldest(PoolId pool, std::span<PageKey> keys);
  // flush_page() for a page that now is in the backing store.
  bool drop_demoted(const PageKey& key);

  [[nodiscard]] std::uint64_t total_frames() const { return arena_.frames(); }
  [[nodiscard]] std::uint64_t free_frames() const { return zone_.free_frames(); }
  // Frames used and target of one client, without a lock.
  struct Allowance {
    std::uint64_t used = 0;
    std::uint64_t target = 0;
  };
  [[nodiscard]] Allowance allowance(ClientId client) const;
  [[nodiscard]] std::vector<ClientStatistics> statistics() const;
  // Of one client; none when it has gone.
  [[nodiscard]] std::optional<ClientStatistics> statistics(ClientId client) const;
  // statistics() with the counters since the last call in `interval`.
  std::vector<ClientStatistics> take_interval();
  [[nodiscard]] LatencySnapshot latency(ClientId client) const;
  // Is told of every operation while it is on.
  [[nodiscard]] recording::Recorder& recorder() { return recorder_; }
  // For a device: the same for what does not come here.
  void record(recording::Kind kind, const PageKey& key, recording::Outcome outcome) {
    if (recorder_.on()) [[unlikely]] {
      note_operation(kind, key, outcome);
    }
  }
  // Bytes of table and index together: the memory that frames cost beyond themselves.
  [[nodiscard]] std::uint64_t overhead_bytes() const;

 private:
  struct Client;
  struct Pool;
  struct Put;

  Store(memory::Arena& arena, const Clock& clock, std::uint64_t seed);

  // Recovery, single-threaded, before anybody else has the store.
  void recover();
  void recover_clients();
  void recover_pools();
  void recover_slabs();
  void redo_replacements();
  bool redo_replacement(const memory::FrameRecord& redo, const std::byte* packed);
  void recover_slots();
  void recover_record(std::uint32_t record);
  bool is_whole(Pool& pool, std::uint32_t record);
  bool claim_slot(Pool& pool, std::uint32_t record);
  void adopt(Pool& pool, std::uint32_t record);
  void suspect_all_pools();
  void count_recovered();
  Pool* make_pool_slot(std::uint32_t slot);
  Client* make_client_slot(std::uint32_t slot);
  void free_unused();

  Result<PoolId> make_pool(ClientId client, PoolKind kind, std::uint64_t label);
  Result<PoolId> make_pool_locked(ClientId client, PoolKind kind, std::uint64_t label);
  [[nodiscard]] Pool* find_pool(PoolId id) const;
  [[nodiscard]] Client* client_of(ClientId id) const;
  [[nodiscard]] bool is_frame(std::uint32_t record) const {
    return record < arena_.frame_records();
  }
  [[nodiscard]] bool is_pattern(std::uint32_t record) const {
    return record - arena_.frame_records() < arena_.patterns();
  }
  [[nodiscard]] bool is_slot(std::uint32_t record) const {
    return record >= arena_.frame_records() + arena_.patterns();
  }
  // Of a slot's record: whether it has its slot.
  [[nodiscard]] bool has_slot(std::uint32_t record) const {
    return is_slot(record) &&
           memory::load_state(arena_.record(record)) == memory::FrameState::kHeld;
  }
  [[nodiscard]] AgeList& list_of(Pool& pool, Shard& shard, std::uint32_t record);

  [[nodiscard]] std::optional<std::uint64_t> word_of(const Account& account,
                                                     const std::byte* page) const;
  [[nodiscard]] std::optional<PutResult> refuse_early(const Put& put) const;
  [[nodiscard]] bool may_find_slot(const Put& put) const;
  GetResult find_and_copy(Pool& pool, const PageKey& key, std::byte* page);
  void record_put(const Put& put, PutResult result);
  void note_operation(recording::Kind kind, const PageKey& key, recording::Outcome outcome);
  PutResult put_packed(Put& put);
  PutResult lock_and_put(Put& put);
  PutResult put_locked(Put& put);
  PutResult replace(Put& put, std::uint32_t record);
  PutResult replace_moving(Put& put, std::uint32_t record);
  PutResult replace_slot_by_frame(Put& put, std::uint32_t record);
  PutResult replace_in_frame(Put& put, std::uint32_t record);
  PutResult replace_in_record(Put& put, std::uint32_t record);
  PutResult insert(Put& put);
  PutResult insert_frame(Put& put);
  bool insert_pattern(Put& put);
  bool insert_slot(Put& put);
  std::uint64_t write_content(const Put& put, std::uint32_t record);
  [[nodiscard]] std::uint64_t content_of(const Put& put, std::uint32_t record) const;
  void seal_record(const Put& put, std::uint32_t record, std::uint64_t content);
  void link(const Put& put, std::uint32_t record);
  void remove(Pool& pool, const PageIndex::Place& place, std::uint32_t record);
  void detach(Pool& pool, const PageIndex::Place& place, std::uint32_t record);
  bool read_slot(std::uint32_t record, std::byte* page);
  [[nodiscard]] std::span<const std::byte> packed_of(std::uint32_t record) const;
  std::optional<memory::FrameAddress> take_frame(Shard& locked);
  std::uint32_t evict_ephemeral(Shard& locked);
  std::uint32_t evict_oldest_of(Shard& shard);
  bool flush_counted(const PageKey& key, Account::Counter Account::*counter);
  std::uint64_t remove_matching(Pool& pool, PoolId id, std::optional<std::uint64_t> object);
  std::uint64_t remove_from_shard(Pool& pool, PoolId id, Shard& shard,
                                  std::optional<std::uint64_t> object);
  std::uint64_t remove_from_list(Pool& pool, PoolId id, AgeList& list,
                                 std::optional<std::uint64_t> object);
  Status destroy_pool_locked(PoolId pool);
  [[nodiscard]] ClientStatistics statistics_of(const Client& client) const;
  [[nodiscard]] Age next_age(const Pool& pool, std::uint64_t put_number);
  void note_oldest_ephemeral(Shard& shard);

  memory::Arena& arena_;
  const Clock& clock_;
  recording::Recorder recorder_{clock_};
  RecoveryReport recovery_;
  memory::Zone zone_;
  PageIndex index_;

  RecordPool free_patterns_;
  RecordPool free_slots_;
  SlabTable slabs_;
  std::atomic<std::uint64_t> damaged_slots_{0};

  std::atomic<Age> ephemeral_age_{0};
  std::atomic<std::uint64_t> ephemeral_pages_{0};  // in frames and slots
  // The age of each shard's least recently used ephemeral page, or kNoAge: read without the
  // shard's lock to choose a victim, so it is a hint; written under the lock.
  static constexpr std::uint64_t kNoAge = ~std::uint64_t{0};
  std::array<std::atomic<std::uint64_t>, PageIndex::kShards> oldest_ephemeral_;

  // Slots are made on first use and kept until the store goes, so that a pointer read without a
  // lock stays good; a slot's id says whom it serves now.
  mutable std::mutex control_mutex_;
  std::array<std::atomic<Client*>, memory::kClientsMax> clients_{};
  std::array<std::atomic<Pool*>, memory::kPoolsMax> pools_{};
};

}  // namespace fallow::tmem
