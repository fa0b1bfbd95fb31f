// The volatile half of the store: where a key's record is, and in which order records were used.
// It lives in ordinary memory and can be rebuilt from the frame table.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "memory/frame_table.h"
#include "tmem/page_key.h"

namespace fallow::tmem {

inline constexpr std::uint32_t kNoRecord = std::numeric_limits<std::uint32_t>::max();

// How long ago a record was put or used, in operations; wraps, so compare with older().
using Age = std::uint32_t;
inline bool older(Age a, Age b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

// A record's place in its hash chain and in its age list.
struct Links {
  std::uint32_t chain_next = kNoRecord;
  std::uint32_t age_previous = kNoRecord;
  std::uint32_t age_next = kNoRecord;
  Age age = 0;
};

// A doubly linked list of records, oldest first. Every record is in exactly one list while it is
// held. Guarded by the lock of the shard that the records belong to.
class AgeList {
 public:
  [[nodiscard]] std::uint32_t oldest() const { return head_; }
  void push_newest(std::span<Links> links, std::uint32_t record, Age age);
  void remove(std::span<Links> links, std::uint32_t record);

 private:
  std::uint32_t head_ = kNoRecord;
  std::uint32_t tail_ = kNoRecord;
};

// One of many independent parts of the index, with the lock that guards its chains, the records in
// them and the age lists that they are in.
struct alignas(64) Shard {
  std::mutex mutex;
  std::uint32_t number = 0;
  AgeList ephemeral;                // frames of ephemeral pools, least recently used first
  std::uint32_t spare = kNoRecord;  // the frame that the shard's next replacement is written to
};

// A large array on huge pages where the host has them: random access into it then mostly spares the
// page walk, which in a VM costs more than the access.
template <typename Item>
class HugeArray {
 public:
  HugeArray(std::size_t count, Item initial);
  [[nodiscard]] std::span<Item> items() const { return {items_.get(), count_}; }

 private:
  struct Free {
    void operator()(Item* items) const { std::free(items); }
  };
  std::unique_ptr<Item[], Free> items_;
  std::size_t count_;
};

// A hash table whose nodes are the frame table's records: chains run through Links by record
// number. A key always belongs to the same shard; call with that shard's lock held.
class PageIndex {
 public:
  static constexpr std::uint32_t kShards = memory::kSpareFrames;  // each shard has one

  PageIndex(std::span<memory::FrameRecord> records, std::uint64_t seed);

  struct Place {
    Shard* shard;
    std::uint32_t bucket;
    std::uint16_t tag;  // two of sixteen bits: what the key adds to its bucket's filter
  };
  [[nodiscard]] Place place_of(const PageKey& key);
  // False when the key is surely absent: two bytes tell, without the lock. True tells nothing.
  // Without the lock an answer counts for the moment before whatever other threads are doing.
  [[nodiscard]] bool may_contain(const Place& place) const {
    const std::atomic_ref filter(filters_.items()[place.bucket]);
    return (filter.load(std::memory_order_relaxed) & place.tag) == place.tag;
  }
  [[nodiscard]] std::uint32_t find(const Place& place, const PageKey& key) const;
  // Without the lock, for keys that will be asked for soon: brings the bucket near, or tells the
  // record that is likely to be the key's (kNoRecord: none).
  void prefetch(const Place& place) const {
    __builtin_prefetch(&buckets_.items()[place.bucket]);
    __builtin_prefetch(&filters_.items()[place.bucket]);
  }
  [[nodiscard]] std::uint32_t guess(const Place& place) const {
    return std::atomic_ref(buckets_.items()[place.bucket]).load(std::memory_order_relaxed);
  }
  void insert(const Place& place, std::uint32_t record);
  void erase(const Place& place, std::uint32_t record);

  [[nodiscard]] std::span<Shard> shards() { return shards_; }
  [[nodiscard]] std::span<Links> links() { return links_.items(); }
  // Bytes that one record costs here, for the store's account of its own memory.
  static constexpr std::size_t kBytesPerRecord =
      sizeof(Links) + sizeof(std::uint32_t) + sizeof(std::uint16_t);

 private:
  std::span<memory::FrameRecord> records_;
  KeyHash hash_;
  std::uint64_t buckets_per_shard_;
  HugeArray<Links> links_;
  // Heads of the chains; each shard guards its own run of them. Read by guess() without.
  HugeArray<std::uint32_t> buckets_;
  // By bucket, the tags of its keys and of some that have left: cleared when the chain is empty.
  // Written under the shard's lock, read without.
  HugeArray<std::uint16_t> filters_;
  std::vector<Shard> shards_;
};

}  // namespace fallow::tmem
