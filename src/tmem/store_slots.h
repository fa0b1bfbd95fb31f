// What the store keeps of a client and of a pool: for the store's own files only.
#pragma once

#include "tmem/store.h"

namespace fallow::tmem {

struct Store::Client {
  std::atomic<std::uint32_t> id{0};  // 0: free
  std::string name;                  // guarded by control_mutex_
  Counters last;                     // at the end of the last interval; guarded by control_mutex_
  Account account;
};

struct Store::Pool {
  std::atomic<std::uint32_t> id{0};  // 0: free or being destroyed
  std::atomic<Account*> account{nullptr};
  std::uint32_t client = 0;  // guarded by control_mutex_
  std::atomic<PoolKind> kind{PoolKind::kPersistent};
  // Records were damaged that may have been this persistent pool's: what is missing may be lost.
  std::atomic<bool> suspect{false};
  // By shard, each guarded by that shard's lock. Frames of ephemeral pools are in Shard::ephemeral.
  std::array<AgeList, PageIndex::kShards> frames;
  std::array<AgeList, PageIndex::kShards> patterns;
};

// The next id of a slot: never 0, and another one each time the slot is used again.
inline std::uint32_t next_id(std::uint32_t last, std::uint32_t slot, std::uint32_t slots) {
  const std::uint32_t id = last == 0 ? slot + slots : last + slots;
  return id < slots ? slot + slots : id;
}

}  // namespace fallow::tmem
