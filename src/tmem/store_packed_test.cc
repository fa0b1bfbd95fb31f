// A client that compresses: what goes into slots, what it costs, and what is left of it after a
// life that ended badly.

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/temp_dir.h"
#include "memory/page_copy.h"
#include "tmem/store.h"

namespace fallow::tmem {
namespace {

using memory::FrameRecord;
using memory::FrameState;

constexpr std::uint64_t kFrames = 64;

class PackedTest : public testing::Test {
 protected:
  void SetUp() override {
    open();
    client_ = *store_->add_client("vm");
    store_->set_target(client_, kFrames);
    ASSERT_TRUE(store_->set_compression(client_, Compression::kLz4).ok());
    pool_ = *store_->open_pool(client_, PoolKind::kPersistent, 11);
  }
  void open(std::uint32_t pages_per_frame = 4) {
    arena_.emplace(
        std::move(*memory::Arena::open({.directory = dir_.path(),
                                        .name = "t",
                                        .bytes = kFrames * kPageSize,
                                        .compressed_pages_per_frame = pages_per_frame})));
    store_ = std::move(*Store::create(*arena_, clock_));
  }
  void restart() {
    store_.reset();
    arena_.reset();
    open();
  }

  // So many bytes that do not compress, and zeros.
  void fill(std::uint64_t seed, std::size_t bytes) {
    std::mt19937_64 random(seed);
    std::memset(page_, 0, kPageSize);
    for (std::size_t at = 0; at < bytes; ++at) {
      page_[at] = static_cast<std::byte>(random());
    }
  }
  PutResult put(std::uint32_t index, std::uint64_t seed, std::size_t bytes) {
    fill(seed, bytes);
    return store_->put({pool_, 0, index}, page_);
  }
  GetResult get(std::uint32_t index) { return store_->get({pool_, 0, index}, page_); }
  bool holds(std::uint32_t index, std::uint64_t seed, std::size_t bytes) {
    std::byte got[kPageSize];
    if (store_->get({pool_, 0, index}, got) != GetResult::kFound) {
      return false;
    }
    fill(seed, bytes);
    return std::memcmp(got, page_, kPageSize) == 0;
  }
  ClientStatistics statistics() { return store_->statistics().at(0); }
  std::uint32_t record_of(std::uint32_t index) {
    for (std::uint32_t i = 0; i < arena_->records(); ++i) {
      const FrameState state = memory::load_state(arena_->record(i));
      if (state != FrameState::kFree && state != FrameState::kSlab &&
          arena_->record(i).index == index) {
        return i;
      }
    }
    return arena_->records();
  }
  // The spare frame whose record says how `record` was replaced last.
  std::uint32_t redo_of(std::uint32_t record) {
    for (std::uint32_t i = 0; i < arena_->frame_records(); ++i) {
      if (arena_->record(i).object == record &&
          arena_->record(i).seal == seal_of(arena_->record(i))) {
        return i;
      }
    }
    return arena_->frame_records();
  }
  std::byte* slot_of(std::uint32_t index) {
    return arena_->slot(slot_place(arena_->record(record_of(index))));
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  ClientId client_;
  PoolId pool_;
  alignas(64) std::byte page_[kPageSize];
};

TEST_F(PackedTest, pagesThatCompress_shareFrames) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    ASSERT_EQ(put(i, i, 900), PutResult::kStored);
  }
  EXPECT_EQ(statistics().compressed_pages, 16u);
  EXPECT_EQ(statistics().compressed_bytes, 4 * kPageSize);
  EXPECT_EQ(statistics().used, 4u);
  EXPECT_EQ(put(16, 16, 4096), PutResult::kStored);  // does not compress
  EXPECT_EQ(statistics().used, 5u);
  for (std::uint32_t i = 0; i < 17; ++i) {
    ASSERT_TRUE(holds(i, i, i < 16 ? 900 : 4096)) << i;
    ASSERT_TRUE(store_->flush_page({pool_, 0, i}));
  }
  EXPECT_EQ(statistics().used, 0u);
  EXPECT_EQ(store_->free_frames(), kFrames);
}

TEST_F(PackedTest, clientThatDoesNotCompress_usesFrames) {
  ASSERT_TRUE(store_->set_compression(client_, Compression::kOff).ok());
  put(1, 1, 900);
  EXPECT_EQ(statistics().compressed_pages, 0u);
  EXPECT_EQ(statistics().used, 1u);
}

TEST_F(PackedTest, arenaWithoutSlots_refusesCompression) {
  ASSERT_TRUE(store_->remove_client(client_).ok());
  store_.reset();
  arena_.reset();
  open(0);
  client_ = *store_->add_client("vm");
  EXPECT_EQ(store_->set_compression(client_, Compression::kLz4).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(store_->set_compression(client_, Compression::kOff).ok());
  EXPECT_EQ(store_->set_compression(ClientId(9999), Compression::kLz4).error().code,
            ErrorCode::kNotFound);
}

TEST_F(PackedTest, replacements_moveBetweenSlotsAndFramesAndWords) {
  put(2, 2, 900);
  const std::size_t sizes[] = {900, 950, 3000, 4096, 100, 4096, 0, 2000, 0, 4096, 1500};
  for (const std::size_t bytes : sizes) {
    ASSERT_EQ(put(1, bytes, bytes), PutResult::kStored) << bytes;
    ASSERT_TRUE(holds(1, bytes, bytes)) << bytes;
    ASSERT_TRUE(holds(2, 2, 900));
    ASSERT_EQ(statistics().used + store_->free_frames(), kFrames);
  }
  EXPECT_EQ(statistics().compressed_pages, 2u);
  EXPECT_EQ(statistics().patterns, 0u);
}

TEST_F(PackedTest, atTheTarget_slotsOfItsSlabsAreStillToBeHad) {
  store_->set_target(client_, 4);
  for (std::uint32_t i = 0; i < 16; ++i) {
    ASSERT_EQ(put(i, i, 950), PutResult::kStored) << i;
  }
  EXPECT_EQ(put(16, 16, 950), PutResult::kOverTarget);
  EXPECT_EQ(put(3, 33, 950), PutResult::kStored);
  // The old page's slot frees nothing, so the larger page is refused, and the old one is gone.
  EXPECT_EQ(put(3, 34, 4096), PutResult::kOverTarget);
  EXPECT_EQ(get(3), GetResult::kMissing);
  EXPECT_EQ(put(16, 16, 950), PutResult::kStored);
  store_->set_target(client_, 3);
  ASSERT_TRUE(store_->flush_page({pool_, 0, 5}));
  EXPECT_EQ(put(17, 17, 950), PutResult::kOverTarget);
}

TEST_F(PackedTest, largerPageWithoutRoom_isRefusedAndTheOldOneGone) {
  store_->set_target(client_, 4);
  ASSERT_EQ(put(1, 1, 900), PutResult::kStored);
  EXPECT_EQ(put(1, 2, 4096), PutResult::kOverTarget);
  EXPECT_EQ(get(1), GetResult::kMissing);
  EXPECT_EQ(statistics().used, 0u);
}

TEST_F(PackedTest, oldestPages_areInSlotsToo) {
  put(1, 1, 900);
  put(2, 2, 4096);
  std::array<PageKey, 4> keys;
  ASSERT_EQ(store_->oldest(pool_, keys), 2u);
  EXPECT_EQ(keys[0].index, 1u);
  EXPECT_TRUE(store_->drop_demoted(keys[0]));
  EXPECT_EQ(statistics().used, 1u);
  EXPECT_EQ(statistics().total.pages_demoted, 1u);
}

TEST_F(PackedTest, ephemeralPagesInSlots_giveWay) {
  const PoolId ephemeral = *store_->open_pool(client_, PoolKind::kEphemeral, 12);
  for (std::uint32_t i = 0; i < 16 * kFrames; ++i) {
    fill(i, 1300);
    ASSERT_EQ(store_->put({ephemeral, 0, i}, page_),
              i < 3 * kFrames ? PutResult::kStored : PutResult::kOverTarget);
  }
  EXPECT_EQ(statistics().used, kFrames);
  const ClientId other = *store_->add_client("other");
  store_->set_target(other, kFrames);
  const PoolId taker = *store_->create_pool(other, PoolKind::kPersistent);
  fill(1, 4096);
  std::uint64_t stored = 0;
  for (std::uint32_t i = 0; i < kFrames / 2; ++i) {
    stored += store_->put({taker, 0, i}, page_) == PutResult::kStored ? 1 : 0;
  }
  EXPECT_EQ(stored, kFrames / 2);
  EXPECT_GE(statistics().total.pages_evicted, 3 * kFrames / 2 - 16);
  EXPECT_EQ(store_->allowance(client_).used + stored + store_->free_frames(), kFrames);
  ASSERT_TRUE(store_->remove_client(client_).ok());
  EXPECT_EQ(store_->free_frames(), kFrames - stored);
}

TEST_F(PackedTest, theNextClientOfASlot_startsWithoutCompression) {
  put(1, 1, 900);
  ASSERT_TRUE(store_->remove_client(client_).ok());
  EXPECT_EQ(store_->free_frames(), kFrames);
  client_ = *store_->add_client("next");
  EXPECT_EQ(statistics().compression, Compression::kOff);
  EXPECT_EQ(statistics().compressed_pages, 0u);
}

// A slot that changed under a running store.
TEST_F(PackedTest, damagedSlot_isLostNeverData) {
  put(1, 1, 900);
  put(2, 2, 900);
  slot_of(1)[100] ^= std::byte{1};
  slot_of(2)[1] ^= std::byte{0x80};  // its length
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_EQ(get(2), GetResult::kLost);
  EXPECT_EQ(put(1, 3, 900), PutResult::kStored);
  EXPECT_TRUE(holds(1, 3, 900));
}

TEST_F(PackedTest, restart_bringsPagesSlabsAndTheSettingBack) {
  for (std::uint32_t i = 0; i < 40; ++i) {
    put(i, i, i % 4 * 1000);
  }
  const ClientStatistics before = statistics();
  restart();
  EXPECT_EQ(store_->recovery().compressed, before.compressed_pages);
  EXPECT_EQ(store_->recovery().lost, 0u);
  EXPECT_EQ(statistics().used, before.used);
  EXPECT_EQ(statistics().compressed_bytes, before.compressed_bytes);
  EXPECT_EQ(statistics().compression, Compression::kLz4);
  EXPECT_EQ(store_->free_frames(), kFrames - before.used);
  for (std::uint32_t i = 0; i < 40; ++i) {
    EXPECT_TRUE(holds(i, i, i % 4 * 1000)) << i;
    EXPECT_TRUE(store_->flush_page({pool_, 0, i}));
  }
  EXPECT_EQ(store_->free_frames(), kFrames);
}

TEST_F(PackedTest, arenaOfAnotherSetting_isNotTakenOver) {
  put(1, 1, 900);
  store_.reset();
  arena_.reset();
  const auto other =
      memory::Arena::open({.directory = dir_.path(), .name = "t", .bytes = kFrames * kPageSize});
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().text.find("compression = \"4\""), std::string::npos);
  open();
  EXPECT_TRUE(holds(1, 1, 900));
}

TEST_F(PackedTest, damageInASlot_isFoundByTheNextLife) {
  put(1, 1, 900);
  put(2, 2, 900);
  slot_of(1)[100] ^= std::byte{1};
  restart();
  EXPECT_EQ(store_->recovery().lost, 1u);
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_TRUE(holds(2, 2, 900));
  EXPECT_EQ(statistics().compressed_pages, 1u);
  restart();
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_EQ(put(1, 3, 900), PutResult::kStored);
  EXPECT_TRUE(holds(1, 3, 900));
  EXPECT_EQ(statistics().used, 4u);
}

TEST_F(PackedTest, firstPutThatWasUnderWay_isGone) {
  put(1, 1, 900);
  memory::publish(arena_->record(record_of(1)), FrameState::kFilling);
  restart();
  EXPECT_EQ(store_->recovery().unfinished, 1u);
  EXPECT_EQ(get(1), GetResult::kMissing);
  EXPECT_EQ(store_->free_frames(), kFrames);
}

TEST_F(PackedTest, lostPage_hasNoSlotAndAnswersLost) {
  put(1, 1, 900);
  memory::publish(arena_->record(record_of(1)), FrameState::kLost);
  restart();
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_EQ(store_->free_frames(), kFrames);
  put(2, 2, 900);  // in the slot that was given up
  restart();
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_TRUE(holds(2, 2, 900));
  EXPECT_TRUE(store_->flush_page({pool_, 0, 1}));
  EXPECT_EQ(get(1), GetResult::kMissing);
}

// All slots are taken, so the new page goes into the old one's.
TEST_F(PackedTest, replacementInItsSlotThatWasUnderWay_isDoneAgain) {
  store_->set_target(client_, 4);
  for (std::uint32_t i = 0; i < 17; ++i) {
    put(i, i, 950);
  }
  const std::uint32_t record = record_of(3);
  const FrameRecord before = arena_->record(record);
  const std::vector<std::byte> bytes(slot_of(3), slot_of(3) + 64);
  ASSERT_EQ(put(3, 33, 950), PutResult::kStored);
  ASSERT_EQ(record_of(3), record);
  const std::uint32_t spare = redo_of(record);
  ASSERT_LT(spare, arena_->frame_records());

  // Half of it was written when the daemon died.
  std::copy(bytes.begin(), bytes.end(), slot_of(3));
  arena_->record(record).generation = before.generation;
  memory::publish(arena_->record(spare), FrameState::kRedo);
  restart();
  EXPECT_TRUE(holds(3, 33, 950));
  EXPECT_EQ(store_->recovery().lost, 0u);
  EXPECT_EQ(statistics().used, 4u);
}

TEST_F(PackedTest, redoRecordThatIsDamaged_isTold) {
  store_->set_target(client_, 4);
  for (std::uint32_t i = 0; i < 17; ++i) {
    put(i, i, 950);
  }
  const std::uint32_t record = record_of(3);
  ASSERT_EQ(put(3, 33, 950), PutResult::kStored);
  const std::uint32_t spare = redo_of(record);
  for (const std::uint64_t object : {0ul, 1ul << 40, std::uint64_t{record} + 1}) {
    FrameRecord& redo = arena_->record(spare);
    redo.object = object;
    redo.seal = seal_of(redo);
    memory::publish(redo, FrameState::kRedo);
    restart();
    EXPECT_TRUE(holds(3, 33, 950)) << object;
  }
}

TEST_F(PackedTest, damagedSlabRecord_losesItsPagesAndNoOthers) {
  put(1, 1, 900);
  put(2, 2, 3000);
  put(3, 3, 4096);
  const std::uint32_t block = slot_place(arena_->record(record_of(1))) * 64 / kSlabBytes;
  arena_->record(block * memory::kSlabFrames).index ^= 1;
  restart();
  EXPECT_EQ(get(1), GetResult::kLost);
  EXPECT_TRUE(holds(2, 2, 3000));
  EXPECT_TRUE(holds(3, 3, 4096));
  EXPECT_EQ(store_->recovery().damaged_records, 0u);
  EXPECT_EQ(statistics().used, 5u);
  EXPECT_EQ(store_->free_frames(), kFrames - 5);
}

// A page that moved, and both records still held: in slots, and between frame and slot.
TEST_F(PackedTest, twoRecordsOfOneKey_theNewerCounts) {
  for (const auto& [older, newer] :
       {std::pair{900, 901}, std::pair{900, 4096}, std::pair{4096, 900}}) {
    ASSERT_EQ(put(1, 1, older), PutResult::kStored);
    ASSERT_EQ(put(2, 2, newer), PutResult::kStored);
    memory::FrameRecord& old = arena_->record(record_of(1));
    memory::FrameRecord& moved = arena_->record(record_of(2));
    old.index = moved.index = 3;
    moved.generation = old.generation + 1;
    old.seal = seal_of(old);
    moved.seal = seal_of(moved);
    restart();
    EXPECT_TRUE(holds(3, 2, newer));
    EXPECT_EQ(statistics().used, newer == 4096 ? 1u : 4u);
    EXPECT_EQ(store_->free_frames(), kFrames - statistics().used);
    EXPECT_TRUE(store_->flush_page({pool_, 0, 3}));
    EXPECT_EQ(store_->free_frames(), kFrames);
  }
}

// Two records of different keys that claim one slot: damage, as no order of stores makes it.
TEST_F(PackedTest, slotOfTwoRecords_servesOne) {
  put(1, 1, 900);
  put(2, 2, 900);
  memory::FrameRecord& thief = arena_->record(record_of(2));
  thief.content = arena_->record(record_of(1)).content;
  thief.seal = seal_of(thief);
  restart();
  EXPECT_EQ(store_->recovery().lost, 1u);
  EXPECT_TRUE(holds(1, 1, 900));
  EXPECT_EQ(get(2), GetResult::kLost);
}

TEST_F(PackedTest, ephemeralPageThatIsNotWhole_isDropped) {
  const PoolId ephemeral = *store_->open_pool(client_, PoolKind::kEphemeral, 12);
  fill(5, 900);
  ASSERT_EQ(store_->put({ephemeral, 0, 9}, page_), PutResult::kStored);
  slot_of(9)[10] ^= std::byte{1};
  EXPECT_EQ(store_->get({ephemeral, 0, 9}, page_), GetResult::kMissing);
  restart();
  EXPECT_EQ(store_->get({ephemeral, 0, 9}, page_), GetResult::kMissing);
  EXPECT_EQ(store_->free_frames(), kFrames);
}

}  // namespace
}  // namespace fallow::tmem
