#include "tmem/store.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/temp_dir.h"
#include "memory/page_copy.h"

namespace fallow::tmem {
namespace {

struct alignas(kPageSize) Page {
  std::byte bytes[kPageSize];

  // A page that is no repeated word.
  static Page of(std::uint64_t seed) {
    Page page;
    for (std::size_t at = 0; at < kPageSize; at += 8) {
      const std::uint64_t word = seed * 0x9e3779b97f4a7c15 + at;
      std::memcpy(page.bytes + at, &word, 8);
    }
    return page;
  }
  static Page filled(std::uint64_t word) {
    Page page;
    memory::fill_page(page.bytes, word);
    return page;
  }
  bool operator==(const Page& other) const {
    return std::memcmp(bytes, other.bytes, kPageSize) == 0;
  }
};

class StoreTest : public testing::Test {
 protected:
  void start(std::uint64_t frames) {
    auto arena = memory::Arena::open(
        {.directory = dir_.path(), .name = "t", .bytes = frames * kPageSize, .node = NodeId(1)});
    ASSERT_TRUE(arena.ok()) << arena.error().text;
    arena_.emplace(std::move(*arena));
    store_ = std::move(*Store::create(*arena_, clock_, {.hash_seed = 7}));
  }
  ClientId client(const std::string& name, std::uint64_t target) {
    const ClientId id = *store_->add_client(name);
    store_->set_target(id, target);
    return id;
  }
  PutResult put(PoolId pool, std::uint32_t index, const Page& page) {
    return store_->put({pool, 0, index}, page.bytes);
  }
  std::optional<Page> get(PoolId pool, std::uint32_t index) {
    Page page;
    return store_->get({pool, 0, index}, page.bytes) == GetResult::kFound ? std::optional(page)
                                                                          : std::nullopt;
  }
  ClientStatistics statistics(ClientId id) {
    for (const auto& one : store_->statistics()) {
      if (one.id == id) {
        return one;
      }
    }
    return {};
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, put_thenGet_returnsTheSameBytes) {
  start(16);
  const PoolId pool = *store_->create_pool(client("a", 16), PoolKind::kPersistent);
  EXPECT_EQ(put(pool, 5, Page::of(1)), PutResult::kStored);
  EXPECT_EQ(get(pool, 5), Page::of(1));
  EXPECT_FALSE(get(pool, 6).has_value());
  EXPECT_TRUE(store_->flush_page({pool, 0, 5}));
  EXPECT_FALSE(store_->flush_page({pool, 0, 5}));
  EXPECT_FALSE(get(pool, 5).has_value());
  EXPECT_EQ(store_->free_frames(), 16u);
}

// 004, Algorithm 1, lines 5-8.
TEST_F(StoreTest, put_atTargetOrWithoutFrames_isRefusedAndCounted) {
  start(4);
  const ClientId a = client("a", 3);
  const PoolId pool_a = *store_->create_pool(a, PoolKind::kPersistent);
  const PoolId pool_b = *store_->create_pool(client("b", 100), PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(put(pool_a, i, Page::of(i)), PutResult::kStored);
  }
  EXPECT_EQ(put(pool_a, 3, Page::of(3)), PutResult::kOverTarget);
  EXPECT_EQ(put(pool_b, 0, Page::of(4)), PutResult::kStored);
  EXPECT_EQ(put(pool_b, 1, Page::of(5)), PutResult::kNoFrame);
  EXPECT_EQ(statistics(a).used, 3u);
  EXPECT_EQ(statistics(a).total.puts_total, 4u);
  EXPECT_EQ(statistics(a).total.puts_succ, 3u);
}

TEST_F(StoreTest, put_ofAnExistingKey_replacesItEvenAtTheTarget) {
  start(4);
  const ClientId a = client("a", 1);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  EXPECT_EQ(put(pool, 0, Page::of(1)), PutResult::kStored);
  EXPECT_EQ(put(pool, 0, Page::of(2)), PutResult::kStored);
  EXPECT_EQ(get(pool, 0), Page::of(2));
  EXPECT_EQ(statistics(a).used, 1u);
}

TEST_F(StoreTest, refusedReplacement_takesTheOldPageWithIt) {
  start(4);
  const ClientId a = client("a", 3);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 3; ++i) {
    put(pool, i, Page::of(i));
  }
  store_->set_target(a, 1);
  EXPECT_EQ(put(pool, 0, Page::of(9)), PutResult::kOverTarget);
  EXPECT_FALSE(get(pool, 0).has_value());
  EXPECT_EQ(statistics(a).used, 2u);
}

TEST_F(StoreTest, pageOfOneWord_needsNoFrame) {
  start(16);
  const ClientId a = client("a", 2);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  EXPECT_EQ(put(pool, 0, Page::filled(0)), PutResult::kStored);
  EXPECT_EQ(put(pool, 1, Page::filled(0xabcd)), PutResult::kStored);
  EXPECT_EQ(store_->free_frames(), 16u);
  EXPECT_EQ(statistics(a).used, 0u);
  EXPECT_EQ(statistics(a).patterns, 2u);
  EXPECT_EQ(get(pool, 0), Page::filled(0));
  EXPECT_EQ(get(pool, 1), Page::filled(0xabcd));
  // 16 frames come with two pattern records: the third takes a frame.
  EXPECT_EQ(put(pool, 2, Page::filled(7)), PutResult::kStored);
  EXPECT_EQ(statistics(a).used, 1u);
  EXPECT_EQ(get(pool, 2), Page::filled(7));
}

TEST_F(StoreTest, pageThatChangesItsNature_movesBetweenFrameAndPattern) {
  start(16);
  const ClientId a = client("a", 16);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  put(pool, 0, Page::of(1));
  EXPECT_EQ(put(pool, 0, Page::filled(2)), PutResult::kStored);
  EXPECT_EQ(get(pool, 0), Page::filled(2));
  EXPECT_EQ(statistics(a).used, 0u);
  EXPECT_EQ(put(pool, 0, Page::of(3)), PutResult::kStored);
  EXPECT_EQ(get(pool, 0), Page::of(3));
  EXPECT_EQ(statistics(a).patterns, 0u);
}

TEST_F(StoreTest, targetZero_closesThePools) {
  start(16);
  const ClientId a = client("a", 0);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  EXPECT_EQ(put(pool, 0, Page::filled(0)), PutResult::kOverTarget);
  EXPECT_EQ(put(pool, 0, Page::of(1)), PutResult::kOverTarget);
}

TEST_F(StoreTest, ephemeralPages_giveWayLeastRecentlyUsedFirst) {
  start(4);
  const ClientId a = client("a", 100);
  const PoolId cache = *store_->create_pool(a, PoolKind::kEphemeral);
  const ClientId b = client("b", 100);
  const PoolId swap = *store_->create_pool(b, PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 4; ++i) {
    put(cache, i, Page::of(i));
  }
  EXPECT_TRUE(get(cache, 0).has_value());  // now 1 is the least recently used
  EXPECT_EQ(put(swap, 0, Page::of(10)), PutResult::kStored);
  EXPECT_FALSE(get(cache, 1).has_value());
  EXPECT_EQ(put(swap, 1, Page::of(11)), PutResult::kStored);
  EXPECT_FALSE(get(cache, 2).has_value());
  EXPECT_EQ(get(cache, 0), Page::of(0));
  EXPECT_EQ(statistics(a).used, 2u);
  EXPECT_EQ(statistics(a).total.pages_evicted, 2u);
  EXPECT_EQ(statistics(b).used, 2u);
}

TEST_F(StoreTest, persistentPages_neverGiveWay) {
  start(2);
  const PoolId swap = *store_->create_pool(client("a", 100), PoolKind::kPersistent);
  const PoolId cache = *store_->create_pool(client("b", 100), PoolKind::kEphemeral);
  put(swap, 0, Page::of(0));
  put(swap, 1, Page::of(1));
  EXPECT_EQ(put(cache, 0, Page::of(2)), PutResult::kNoFrame);
  EXPECT_EQ(get(swap, 0), Page::of(0));
}

TEST_F(StoreTest, flushObject_takesAllOfItAndNothingElse) {
  start(64);
  const PoolId pool = *store_->create_pool(client("a", 64), PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 10; ++i) {
    store_->put({pool, 1, i}, Page::of(i).bytes);
    store_->put({pool, 2, i}, Page::of(i).bytes);
  }
  store_->put({pool, 1, 10}, Page::filled(1).bytes);
  EXPECT_EQ(store_->flush_object(pool, 1), 11u);
  EXPECT_EQ(store_->flush_object(pool, 1), 0u);
  EXPECT_EQ(store_->free_frames(), 54u);
}

TEST_F(StoreTest, flushPart_freesAllOfThePoolInAllItsParts) {
  start(128);
  const ClientId owner = client("a", 128);
  const PoolId pool = *store_->create_pool(owner, PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(store_->put({pool, i % 2, i}, Page::of(i).bytes), PutResult::kStored);
  }
  const auto flush = [&](std::optional<std::uint64_t> object) {
    std::uint64_t pages = 0;
    for (std::uint32_t part = 0; part < Store::kFlushParts; ++part) {
      pages += store_->flush_part(pool, object, part);
    }
    return pages;
  };
  EXPECT_EQ(flush(1), 50u);
  EXPECT_EQ(flush(std::nullopt), 50u);
  EXPECT_EQ(store_->free_frames(), 128u);
  EXPECT_EQ(store_->statistics(owner)->total.flushes_total, 2u);
  EXPECT_EQ(store_->statistics(owner)->total.pages_flushed, 100u);
  EXPECT_FALSE(store_->statistics(ClientId(owner.value + 1)).has_value());
}

TEST_F(StoreTest, destroyedPool_isUnknownAndItsFramesAreFree) {
  start(16);
  const ClientId a = client("a", 16);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  const PoolId cache = *store_->create_pool(a, PoolKind::kEphemeral);
  put(pool, 0, Page::of(0));
  put(cache, 0, Page::of(1));
  EXPECT_TRUE(store_->destroy_pool(pool).ok());
  EXPECT_EQ(store_->destroy_pool(pool).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(put(pool, 0, Page::of(0)), PutResult::kNoPool);
  EXPECT_FALSE(get(pool, 0).has_value());
  EXPECT_EQ(get(cache, 0), Page::of(1));
  EXPECT_TRUE(store_->remove_client(a).ok());
  EXPECT_EQ(put(cache, 0, Page::of(0)), PutResult::kNoPool);
  EXPECT_EQ(store_->free_frames(), 16u);
}

TEST_F(StoreTest, slotsUsedAgain_getNewIdsAndFreshAccounts) {
  start(16);
  const ClientId a = client("a", 16);
  const PoolId old_pool = *store_->create_pool(a, PoolKind::kPersistent);
  put(old_pool, 0, Page::of(0));
  EXPECT_TRUE(store_->remove_client(a).ok());
  const ClientId b = *store_->add_client("a");
  const PoolId new_pool = *store_->create_pool(b, PoolKind::kPersistent);
  EXPECT_NE(a, b);
  EXPECT_NE(old_pool, new_pool);
  EXPECT_EQ(put(old_pool, 0, Page::of(0)), PutResult::kNoPool);
  EXPECT_EQ(statistics(b).total, Counters{});
  EXPECT_FALSE(get(new_pool, 0).has_value());
  EXPECT_EQ(statistics(b).target, 0u);
}

TEST_F(StoreTest, names_mustBeGoodAndUnused) {
  start(16);
  EXPECT_TRUE(store_->add_client("a").ok());
  EXPECT_EQ(store_->add_client("a").error().code, ErrorCode::kExists);
  EXPECT_EQ(store_->add_client("../a").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store_->create_pool(ClientId(99), PoolKind::kPersistent).error().code,
            ErrorCode::kNotFound);
}

TEST_F(StoreTest, takeInterval_countsOnlyWhatCameSince) {
  start(16);
  const ClientId a = client("a", 1);
  const PoolId pool = *store_->create_pool(a, PoolKind::kPersistent);
  put(pool, 0, Page::of(0));
  EXPECT_EQ(store_->take_interval()[0].interval.puts_succ, 1u);
  put(pool, 1, Page::of(1));
  get(pool, 0);
  const auto second = store_->take_interval()[0];
  EXPECT_EQ(second.interval.puts_total, 1u);
  EXPECT_EQ(second.interval.puts_succ, 0u);
  EXPECT_EQ(second.interval.gets_succ, 1u);
  EXPECT_EQ(second.total.puts_total, 2u);
}

TEST_F(StoreTest, oldest_isInOrderOfTheLastPut) {
  start(64);
  const PoolId pool = *store_->create_pool(client("a", 64), PoolKind::kPersistent);
  for (std::uint32_t i = 0; i < 8; ++i) {
    put(pool, i, Page::of(i));
  }
  put(pool, 0, Page::of(100));     // the newest now
  put(pool, 50, Page::filled(1));  // frees nothing: never offered
  std::array<PageKey, 3> keys;
  ASSERT_EQ(store_->oldest(pool, keys), 3u);
  EXPECT_EQ(keys[0].index, 1u);
  EXPECT_EQ(keys[1].index, 2u);
  EXPECT_EQ(keys[2].index, 3u);
  EXPECT_TRUE(store_->drop_demoted(keys[0]));
  std::array<PageKey, 64> all;
  EXPECT_EQ(store_->oldest(pool, all), 7u);
  EXPECT_EQ(all[6].index, 0u);
}

TEST_F(StoreTest, record_tellsTheWholePutToTheNextLife) {
  start(16);
  const PoolId pool = *store_->create_pool(client("a", 16), PoolKind::kPersistent);
  store_->put({pool, 77, 5}, Page::of(1).bytes);
  store_->put({pool, 77, 5}, Page::of(2).bytes);
  store_->put({pool, 77, 6}, Page::filled(9).bytes);
  int held = 0;
  for (std::uint32_t i = 0; i < arena_->records(); ++i) {
    memory::FrameRecord& record = arena_->record(i);
    if (load_state(record) != memory::FrameState::kHeld) {
      continue;
    }
    ++held;
    EXPECT_EQ(record.seal, seal_of(record));
    EXPECT_EQ(record.pool, pool.value);
    EXPECT_EQ(record.object, 77u);
    EXPECT_EQ(record.epoch, arena_->epoch().value);
    if (record.index == 5) {
      EXPECT_EQ(record.generation, 1u);
      EXPECT_EQ(record.content, memory::page_checksum(arena_->frame(i)));
    } else {
      EXPECT_EQ(record.content, 9u);
      EXPECT_GE(i, arena_->frame_records());
    }
  }
  EXPECT_EQ(held, 2);
  EXPECT_STREQ(arena_->clients()[0].name, "a");
}

TEST_F(StoreTest, overhead_isUnderTwoPercent) {
  start(1u << 16);
  EXPECT_LT(static_cast<double>(store_->overhead_bytes()),
            0.02 * static_cast<double>(store_->total_frames() * kPageSize));
}

TEST_F(StoreTest, Recorder_whileOn_isToldOfEachOperation) {
  using recording::Kind;
  using recording::Outcome;
  start(64);
  const ClientId id = client("a", 1);
  const PoolId pool = *store_->create_pool(id, PoolKind::kPersistent);
  put(pool, 9, Page::of(9));
  store_->flush_page({pool, 0, 9});
  ASSERT_TRUE(store_->recorder().start());
  put(pool, 1, Page::of(1));
  put(pool, 2, Page::of(2));
  put(pool, 3, Page::filled(3));
  get(pool, 1);
  get(pool, 2);
  store_->flush_page({pool, 0, 1});
  store_->flush_object(pool, 7);
  ASSERT_TRUE(store_->remove_client(id));
  std::vector<recording::Operation> taken;
  store_->recorder().take(taken);
  using Seen = std::tuple<Kind, std::uint64_t, std::uint32_t, Outcome>;
  std::vector<Seen> seen;
  for (const recording::Operation& one : taken) {
    seen.emplace_back(one.kind, one.object, one.index, one.outcome);
    EXPECT_EQ(one.client, id.value);
  }
  const std::vector<Seen> expected = {
      {Kind::kPut, 0, 1, Outcome::kDone},         {Kind::kPut, 0, 2, Outcome::kNot},
      {Kind::kPut, 0, 3, Outcome::kWithoutFrame}, {Kind::kGet, 0, 1, Outcome::kDone},
      {Kind::kGet, 0, 2, Outcome::kNot},          {Kind::kFlush, 0, 1, Outcome::kDone},
      {Kind::kFlushObject, 7, 0, Outcome::kDone}, {Kind::kFlushPool, 0, 0, Outcome::kDone},
      {Kind::kClientGone, 0, 0, Outcome::kDone}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace fallow::tmem
