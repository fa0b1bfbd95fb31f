// The volatile half of the store: where a key's record is, and in which order records were used.
// It lives in ordinary memory and can be rebuilt from the frame table.
#pragma once

#include <cstdint>
#include <limits>
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
  std::span<std::uint32_t> buckets;  // heads of the chains
  AgeList ephemeral;                 // frames of ephemeral pools, least recently used first
};

// A hash table whose nodes are the frame table's records: chains run through Links by record
// number. A key always belongs to the same shard; call with that shard's lock held.
class PageIndex {
 public:
  static constexpr std::uint32_t kShards = 64;

  PageIndex(std::span<memory::FrameRecord> records, std::uint64_t seed);

  struct Place {
    Shard* shard;
    std::uint32_t bucket;
  };
  [[nodiscard]] Place place_of(const PageKey& key);
  [[nodiscard]] std::uint32_t find(const Place& place, const PageKey& key) const;
  void insert(const Place& place, std::uint32_t record);
  void erase(const Place& place, std::uint32_t record);

  [[nodiscard]] std::span<Shard> shards() { return shards_; }
  [[nodiscard]] std::span<Links> links() { return links_; }
  // Bytes that one record costs here, for the store's account of its own memory.
  static constexpr std::size_t kBytesPerRecord = sizeof(Links) + sizeof(std::uint32_t);

 private:
  std::span<memory::FrameRecord> records_;
  KeyHash hash_;
  std::vector<Links> links_;
  std::vector<std::uint32_t> buckets_;
  std::vector<Shard> shards_;
};

}  // namespace fallow::tmem
