// What the store makes of the frame table that a killed life left, states and damage included.

#include <gtest/gtest.h>

#include <cstring>

#include "base/temp_dir.h"
#include "memory/page_copy.h"
#include "tmem/store.h"

namespace fallow::tmem {
namespace {

using memory::FrameState;

constexpr std::uint64_t kFrames = 64;

class RecoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    client_ = *store_->add_client("vm", {{3, 4}});
    store_->set_target(client_, kFrames);
    pool_ = *store_->open_pool(client_, PoolKind::kPersistent, 11);
  }
  void open() {
    arena_.emplace(std::move(*memory::Arena::open(
        {.directory = dir_.path(), .name = "t", .bytes = kFrames * kPageSize})));
    store_ = std::move(*Store::create(*arena_, clock_));
  }
  void restart() {
    store_.reset();
    arena_.reset();
    open();
  }

  void fill(std::uint64_t content) {
    memory::fill_page(page_, content);
    std::memcpy(page_ + 64, "differs", 8);
  }
  PutResult put(std::uint32_t index, std::uint64_t content) {
    fill(content);
    return store_->put({pool_, 0, index}, page_);
  }
  GetResult get(std::uint32_t index) { return store_->get({pool_, 0, index}, page_); }
  bool holds(std::uint32_t index, std::uint64_t content) {
    std::byte got[kPageSize];
    if (store_->get({pool_, 0, index}, got) != GetResult::kFound) {
      return false;
    }
    fill(content);
    return std::memcmp(got, page_, kPageSize) == 0;
  }
  std::uint32_t record_of(std::uint32_t index) {
    for (std::uint32_t i = 0; i < arena_->frame_records(); ++i) {
      const auto& record = arena_->record(i);
      if (memory::load_state(arena_->record(i)) != FrameState::kFree && record.index == index) {
        return i;
      }
    }
    return arena_->frames();
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  ClientId client_;
  PoolId pool_;
  alignas(64) std::byte page_[kPageSize];
};

TEST_F(RecoveryTest, clientsPoolsTargetsAndPages_areBack) {
  put(1, 100);
  memory::fill_page(page_, 7);
  store_->put({pool_, 0, 2}, page_);
  store_->set_keep_seconds(client_, 90);
  restart();
  EXPECT_EQ(store_->recovery().pages, 1u);
  EXPECT_EQ(store_->recovery().patterns, 1u);
  EXPECT_EQ(store_->find_client("vm"), client_);
  EXPECT_EQ(store_->find_client("other"), std::nullopt);
  EXPECT_EQ(store_->secret_of(client_), (ClientSecret{{3, 4}}));
  EXPECT_EQ(store_->keep_seconds_of(client_), 90u);
  EXPECT_EQ(store_->allowance(client_).target, kFrames);
  EXPECT_EQ(store_->allowance(client_).used, 1u);
  EXPECT_EQ(*store_->open_pool(client_, PoolKind::kPersistent, 11), pool_);
  EXPECT_TRUE(store_->owns_pool(client_, pool_));
  EXPECT_TRUE(holds(1, 100));
  EXPECT_EQ(store_->free_frames(), kFrames - 1);
}

TEST_F(RecoveryTest, removedClientsAndPools_stayAway) {
  put(1, 100);
  const PoolId other = *store_->create_pool(client_, PoolKind::kPersistent);
  ASSERT_TRUE(store_->destroy_pool(pool_).ok());
  restart();
  EXPECT_FALSE(store_->owns_pool(client_, pool_));
  EXPECT_TRUE(store_->owns_pool(client_, other));
  EXPECT_EQ(store_->free_frames(), kFrames);
  ASSERT_TRUE(store_->remove_client(client_).ok());
  restart();
  EXPECT_FALSE(arena_->recovered());  // nobody is left, so nothing was
}

TEST_F(RecoveryTest, firstPutThatWasUnderWay_isGone) {
  put(1, 100);
  memory::publish(arena_->record(record_of(1)), FrameState::kFilling);
  restart();
  EXPECT_EQ(store_->recovery().unfinished, 1u);
  EXPECT_EQ(get(1), GetResult::kMissing);
  EXPECT_EQ(store_->free_frames(), kFrames);
}

TEST_F(RecoveryTest, pageThatWasLost_answersLostUntilItIsWritten) {
  put(1, 100);
  memory::publish(arena_->record(record_of(1)), FrameState::kLost);
  restart();
  EXPECT_EQ(store_->recovery().lost, 1u);
  EXPECT_EQ(get(1), GetResult::kLost);
  restart();
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_EQ(put(1, 101), PutResult::kStored);
  EXPECT_TRUE(holds(1, 101));
  EXPECT_EQ(store_->free_frames(), kFrames - 1);
}

TEST_F(RecoveryTest, replacementOfAPageThatWasUnderWay_leavesTheOldOne) {
  put(1, 100);
  const std::uint32_t before = record_of(1);
  put(1, 101);
  const std::uint32_t after = record_of(1);
  ASSERT_NE(before, after);  // the old page stayed whole until the new one was
  memory::publish(arena_->record(before), FrameState::kHeld);
  memory::publish(arena_->record(after), FrameState::kFilling);
  restart();
  EXPECT_TRUE(holds(1, 100));
}

TEST_F(RecoveryTest, wrongChecksum_isLostNeverData) {
  put(1, 100);
  put(2, 200);
  arena_->frame(record_of(1))[1000] ^= std::byte{1};
  restart();
  EXPECT_EQ(store_->recovery().lost, 1u);
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_TRUE(holds(2, 200));
  EXPECT_TRUE(store_->flush_page({pool_, 0, 1}));
  EXPECT_EQ(get(1), GetResult::kMissing);
}

TEST_F(RecoveryTest, recordOfUnknownKey_makesEveryMissSuspect) {
  put(1, 100);
  put(2, 200);
  arena_->record(record_of(1)).index = 77;
  restart();
  EXPECT_EQ(store_->recovery().damaged_records, 1u);
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_TRUE(holds(2, 200));
  restart();  // it does not forget
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_EQ(store_->free_frames(), kFrames - 1);
}

TEST_F(RecoveryTest, twoRecordsOfOneKey_theNewerCounts) {
  put(1, 100);
  put(1, 101);
  put(2, 200);
  const std::uint32_t newer = record_of(1);
  // As if a page had moved between two records: the copy is of the generation before.
  const std::uint32_t older = record_of(2);
  memory::FrameRecord& copy = arena_->record(older);
  copy.index = 1;
  copy.generation = arena_->record(newer).generation - 1;
  copy.seal = seal_of(copy);
  restart();
  EXPECT_TRUE(holds(1, 101));
  EXPECT_EQ(store_->free_frames(), kFrames - 1);
  EXPECT_EQ(store_->allowance(client_).used, 1u);
}

TEST_F(RecoveryTest, ephemeralPageThatIsNotWhole_isDropped) {
  const PoolId ephemeral = *store_->open_pool(client_, PoolKind::kEphemeral, 12);
  fill(5);
  ASSERT_EQ(store_->put({ephemeral, 0, 9}, page_), PutResult::kStored);
  fill(6);
  ASSERT_EQ(store_->put({ephemeral, 0, 10}, page_), PutResult::kStored);
  arena_->frame(record_of(9))[0] ^= std::byte{1};
  restart();
  EXPECT_EQ(store_->get({ephemeral, 0, 9}, page_), GetResult::kMissing);
  EXPECT_EQ(store_->get({ephemeral, 0, 10}, page_), GetResult::kFound);
  EXPECT_EQ(store_->recovery().lost, 0u);
}

TEST_F(RecoveryTest, openPool_findsItsOwnByLabelAndKind) {
  EXPECT_EQ(store_->open_pool(client_, PoolKind::kEphemeral, 11).error().code, ErrorCode::kInvalid);
  EXPECT_NE(*store_->open_pool(client_, PoolKind::kPersistent, 12), pool_);
  const ClientId other = *store_->add_client("other");
  EXPECT_NE(*store_->open_pool(other, PoolKind::kPersistent, 11), pool_);
  EXPECT_FALSE(store_->owns_pool(other, pool_));
}

}  // namespace
}  // namespace fallow::tmem
