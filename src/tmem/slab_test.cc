#include "tmem/slab.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>

#include "base/temp_dir.h"
#include "tmem/packing.h"

namespace fallow::tmem {
namespace {

using memory::FrameState;

constexpr std::uint32_t kFrames = 64;

class SlabTest : public testing::Test {
 protected:
  SlabTest() {
    zone_.add_free(0, kFrames);
    account_.set_target(kFrames);
    heap_.set_owner(ClientId(7));
  }
  std::uint32_t take(std::size_t bytes) { return heap_.take(bytes).value(); }

  TempDir dir_{"/dev/shm"};
  memory::Arena arena_{std::move(*memory::Arena::open({.directory = dir_.path(),
                                                       .name = "t",
                                                       .bytes = kFrames * kPageSize,
                                                       .compressed_pages_per_frame = 2}))};
  memory::Zone zone_{NodeId(), kFrames};
  SlabTable table_{arena_, zone_};
  Account account_;
  SlabHeap heap_{table_, account_};
};

TEST(SlotClass, everySize_getsTheSmallestSlotWithRoom) {
  for (std::size_t bytes = 1; bytes <= kSlotBytesMax; ++bytes) {
    const std::uint8_t at = slot_class_of(bytes);
    ASSERT_GE(kSlotBytes[at], bytes);
    ASSERT_TRUE(at == 0 || kSlotBytes[at - 1] < bytes);
  }
}

TEST_F(SlabTest, slotsOfOneSlab_areApartAndCostItsFramesOnce) {
  std::set<std::uint32_t> places;
  for (int i = 0; i < 5; ++i) {
    places.insert(take(kSlotBytesMax));
  }
  EXPECT_EQ(places.size(), 5u);
  EXPECT_EQ(*places.rbegin() - *places.begin(), 4 * kSlotBytesMax / memory::kSlotGranule);
  EXPECT_EQ(account_.used(), 4u);
  EXPECT_EQ(zone_.free_frames(), kFrames - 4);
  EXPECT_EQ(heap_.free_slots(), 0u);
  EXPECT_EQ(memory::load_state(arena_.record(0)), FrameState::kSlab);
  take(kSlotBytesMax);
  EXPECT_EQ(account_.used(), 8u);
  EXPECT_EQ(heap_.pages(), 6u);
  EXPECT_EQ(heap_.bytes(), 8 * kPageSize);
}

TEST_F(SlabTest, lastSlotReleased_givesTheFramesBack) {
  const std::uint32_t first = take(1000);
  const std::uint32_t second = take(1000);
  heap_.release(first);
  EXPECT_EQ(account_.used(), 4u);
  EXPECT_EQ(take(1000), first);
  heap_.release(second);
  heap_.release(first);
  EXPECT_EQ(account_.used(), 0u);
  EXPECT_EQ(zone_.free_frames(), kFrames);
  EXPECT_EQ(heap_.free_slots(), 0u);
  EXPECT_EQ(memory::load_state(arena_.record(0)), FrameState::kFree);
}

TEST_F(SlabTest, withoutRoomForASlab_aLargerSlotMustDo) {
  account_.set_target(4);
  const std::uint32_t large = take(2000);
  const std::uint32_t small = take(300);
  EXPECT_EQ(table_.class_of(large), table_.class_of(small));
  EXPECT_EQ(heap_.take(2500), std::nullopt);
  account_.set_target(7);
  EXPECT_EQ(heap_.take(2500), std::nullopt);
  account_.set_target(8);
  EXPECT_TRUE(heap_.take(2500).has_value());
}

TEST_F(SlabTest, noBlockFree_chargesNothing) {
  for (std::uint32_t i = 0; i < kFrames; i += 4) {
    zone_.allocate_frame();
    zone_.allocate_block(1);
  }
  while (zone_.allocate_block(2)) {
  }
  EXPECT_EQ(heap_.take(500), std::nullopt);
  EXPECT_EQ(account_.used(), 0u);
}

// A heap of the life after, told which slots are taken.
TEST_F(SlabTest, recovery_takesWhatIsClaimedAndFreesTheRest) {
  const std::uint32_t kept = take(600);
  take(600);
  const std::uint32_t gone = take(3000);
  Account account;
  memory::Zone zone(NodeId(), kFrames);
  SlabTable table(arena_, zone);
  SlabHeap heap(table, account);
  heap.set_owner(ClientId(7));
  ASSERT_TRUE(heap.adopt(0));
  ASSERT_TRUE(heap.adopt(4));
  EXPECT_FALSE(heap.adopt(1));
  EXPECT_TRUE(table.contains(7));
  EXPECT_FALSE(table.contains(8));
  EXPECT_TRUE(heap.claim(kept));
  EXPECT_FALSE(heap.claim(kept));
  EXPECT_FALSE(heap.claim(kept + 1));
  EXPECT_FALSE(heap.claim(8 * kPageSize / memory::kSlotGranule));
  EXPECT_FALSE(heap.claim(~0u));
  EXPECT_TRUE(heap.claim(gone));
  heap.release(gone);
  EXPECT_EQ(account.used(), 8u);
  heap.finish_recovery();
  EXPECT_EQ(account.used(), 4u);
  EXPECT_EQ(zone.free_frames(), 4u);
  EXPECT_EQ(heap.pages(), 1u);
  heap.release(kept);
  EXPECT_EQ(account.used(), 0u);
  EXPECT_EQ(heap.free_slots(), 0u);
}

TEST_F(SlabTest, slabOfAnotherOrDamaged_isNotAdopted) {
  take(600);
  SlabTable table(arena_, zone_);
  SlabHeap other(table, account_);
  other.set_owner(ClientId(8));
  EXPECT_FALSE(other.adopt(0));
  other.set_owner(ClientId(7));
  arena_.record(0).index ^= 1;
  EXPECT_FALSE(other.adopt(0));
  arena_.record(0).index ^= 1;
  memory::publish(arena_.record(2), FrameState::kHeld);
  EXPECT_FALSE(other.adopt(0));
}

TEST_F(SlabTest, randomTakesAndReleases_neverOverlapAndAddUp) {
  std::mt19937_64 random(1);
  std::map<std::uint32_t, std::uint32_t> taken;  // place to end
  for (int i = 0; i < 100'000; ++i) {
    if (random() % 2 == 0) {
      const auto place = heap_.take(1 + random() % kSlotBytesMax);
      if (place) {
        const std::uint32_t end = *place + kSlotBytes[table_.class_of(*place)] / 64;
        const auto next = taken.lower_bound(*place);
        ASSERT_TRUE(next == taken.end() || next->first >= end);
        ASSERT_TRUE(next == taken.begin() || std::prev(next)->second <= *place);
        ASSERT_LE(end, kFrames * kPageSize / 64);
        taken[*place] = end;
      }
    } else if (!taken.empty()) {
      const auto victim = std::next(taken.begin(), random() % taken.size());
      heap_.release(victim->first);
      taken.erase(victim);
    }
    ASSERT_EQ(account_.used() + zone_.free_frames(), kFrames);
    ASSERT_EQ(heap_.pages(), taken.size());
  }
  for (const auto& [place, end] : taken) {
    heap_.release(place);
  }
  EXPECT_EQ(zone_.free_frames(), kFrames);
}

TEST(Packing, pages_comeBackOrDoNotFit) {
  std::mt19937_64 random(2);
  for (const std::size_t kept : {0u, 1u, 700u, 2000u, 3000u, 4096u}) {
    std::byte page[kPageSize] = {};
    for (std::size_t at = 0; at < kept; ++at) {
      page[at] = static_cast<std::byte>(random());
    }
    PackBuffer buffer;
    const auto packed = pack_page(page, buffer);
    ASSERT_EQ(packed.empty(), kept > 3200) << kept;
    if (!packed.empty()) {
      std::byte back[kPageSize];
      EXPECT_EQ(packed_in(buffer.bytes).size(), packed.size());
      ASSERT_TRUE(unpack_page(packed, back));
      EXPECT_EQ(std::memcmp(page, back, kPageSize), 0);
    }
  }
}

TEST(Packing, garbage_isRefusedWithinBounds) {
  std::mt19937_64 random(3);
  std::byte page[kPageSize];
  PackBuffer buffer;
  for (int i = 0; i < 2'000; ++i) {
    for (std::byte& at : buffer.bytes) {
      at = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    }
    const auto packed = packed_in(std::span(buffer.bytes).first(64 + random() % 3000));
    if (!packed.empty()) {
      unpack_page(packed, page);
    }
  }
}

}  // namespace
}  // namespace fallow::tmem
