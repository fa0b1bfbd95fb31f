// What the store keeps of a client, of a pool and of a put on its way: for the store's own files
// only.
#pragma once

#include "tmem/store.h"

namespace fallow::tmem {

struct Store::Client {
  explicit Client(SlabTable& table) : slabs(table, account) {}

  std::atomic<std::uint32_t> id{0};  // 0: free
  std::string name;                  // guarded by control_mutex_
  Counters last;                     // at the end of the last interval; guarded by control_mutex_
  Account account;
  SlabHeap slabs;
};

struct Store::Pool {
  std::atomic<std::uint32_t> id{0};  // 0: free or being destroyed
  std::atomic<Account*> account{nullptr};
  std::atomic<SlabHeap*> slabs{nullptr};
  std::atomic<std::uint32_t> client{0};  // changed under control_mutex_
  std::atomic<PoolKind> kind{PoolKind::kPersistent};
  // Records were damaged that may have been this persistent pool's: what is missing may be lost.
  std::atomic<bool> suspect{false};
  // By shard, each guarded by that shard's lock: pages in frames or slots (those of ephemeral pools
  // are in Shard::ephemeral), and pages of one repeated word.
  std::array<AgeList, PageIndex::kShards> frames;
  std::array<AgeList, PageIndex::kShards> patterns;
};

// One put on its way through the store.
struct Store::Put {
  const PageKey& key;
  const std::byte* page;
  Pool& pool;
  Account& account;
  PageIndex::Place place;
  Age age;
  std::optional<std::uint64_t> word;  // set when the page is one repeated word
  std::uint32_t generation;           // of the key, once stored
  std::span<const std::byte> packed;  // the page compressed; empty when it is to take a frame
  std::uint32_t packed_sum;
};

// The next id of a slot: never 0, and another one each time the slot is used again.
inline std::uint32_t next_id(std::uint32_t last, std::uint32_t slot, std::uint32_t slots) {
  const std::uint32_t id = last == 0 ? slot + slots : last + slots;
  return id < slots ? slot + slots : id;
}

}  // namespace fallow::tmem
