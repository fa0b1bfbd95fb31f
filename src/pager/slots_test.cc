#include "pager/slots.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace fallow::pager {
namespace {

Slot in_file(std::uint32_t number) {
  return number | kInFile;
}

TEST(SlotsTest, countsWhatIsWhere) {
  Slots slots;
  const Slot one = slots.allocate();
  const Slot two = slots.allocate_in_file(1).at(0);
  EXPECT_EQ(place_of(kNoSlot), Place::kNone);
  EXPECT_EQ(place_of(one), Place::kFallow);
  EXPECT_EQ(place_of(two), Place::kFile);
  EXPECT_EQ(slots.in_fallow() + slots.in_file(), 0u);
  slots.filled(one);
  slots.filled(two);
  EXPECT_EQ(slots.in_fallow(), 1u);
  EXPECT_EQ(slots.in_file(), 1u);
  slots.release(one);
  slots.release(two);
  EXPECT_EQ(slots.in_fallow(), 0u);
  EXPECT_EQ(slots.in_file(), 0u);
}

TEST(SlotsTest, goesOnWithWhatWasLeft) {
  Slots slots;
  slots.restore(3);
  slots.restore(in_file(1));
  slots.restore(in_file(4));
  slots.restored();
  EXPECT_EQ(slots.in_fallow(), 1u);
  EXPECT_EQ(slots.in_file(), 2u);
  // Nobody knows what the daemon has there.
  EXPECT_EQ(slots.dead(), 2u);
  EXPECT_EQ(slots.allocate(), 2u);
  EXPECT_EQ(slots.allocate(), 1u);
  EXPECT_EQ(slots.allocate(), 4u);
  EXPECT_EQ(slots.allocate_in_file(3), (std::vector<Slot>{in_file(2), in_file(3), in_file(5)}));
}

TEST(SlotsTest, usesADeadSlotAgainBeforeItIsFlushed) {
  Slots slots;
  const Slot slot = slots.allocate();
  slots.filled(slot);
  slots.release(slot);
  EXPECT_EQ(slots.dead(), 1u);
  EXPECT_EQ(slots.allocate(), slot);
  EXPECT_EQ(slots.dead(), 0u);
}

TEST(SlotsTest, remembersThatTheDaemonHoldsAPageThoughTheNextPutNeverCame) {
  Slots slots;
  const Slot slot = slots.allocate();
  slots.filled(slot);
  slots.release(slot);
  ASSERT_EQ(slots.allocate(), slot);
  slots.release(slot);  // called off
  EXPECT_EQ(slots.dead(), 1u);
  EXPECT_EQ(slots.in_fallow(), 0u);
}

TEST(SlotsTest, knowsThatARefusedPutLeavesNothing) {
  Slots slots;
  const Slot slot = slots.allocate();
  slots.filled(slot);
  slots.release(slot);
  ASSERT_EQ(slots.allocate(), slot);
  slots.refused(slot);
  slots.release(slot);
  EXPECT_EQ(slots.dead(), 0u);
  EXPECT_EQ(slots.allocate(), slot);
}

TEST(SlotsTest, givesDeadSlotsToBeFlushedOnce) {
  Slots slots;
  std::vector<Slot> dead;
  for (int i = 0; i < 3; ++i) {
    slots.filled(slots.allocate());
  }
  slots.release(1);
  slots.release(2);
  slots.release(3);
  slots.take_dead(dead, 2);
  EXPECT_EQ(dead.size(), 2u);
  EXPECT_EQ(slots.dead(), 1u);
  for (const Slot slot : dead) {
    slots.flushed(slot);
  }
  slots.take_dead(dead, 10);
  EXPECT_EQ(dead.size(), 3u);
}

TEST(SlotsTest, isFreeWhenNobodyHasItAnyMore) {
  Slots slots;
  const Slot slot = slots.allocate_in_file(1).at(0);
  slots.filled(slot);
  slots.share(slot);
  EXPECT_TRUE(slots.shared(slot));
  slots.release(slot);
  EXPECT_EQ(slots.in_file(), 1u);
  EXPECT_FALSE(slots.shared(slot));
  slots.release(slot);
  EXPECT_EQ(slots.allocate_in_file(1).at(0), slot);
}

TEST(SlotsTest, givesPlacesInTheFileNextToEachOther) {
  Slots slots;
  const std::vector<Slot> first = slots.allocate_in_file(40);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i], in_file(static_cast<std::uint32_t>(i) + 1));
  }
  // Single holes are left alone while the file can grow instead.
  slots.release(first[3]);
  slots.release(first[20]);
  EXPECT_EQ(slots.allocate_in_file(4).front(), in_file(41));
  // A run that is long enough is not.
  for (std::size_t i = 8; i < 12; ++i) {
    slots.release(first[i]);
  }
  EXPECT_EQ(slots.allocate_in_file(4),
            (std::vector<Slot>{first[8], first[9], first[10], first[11]}));
}

TEST(SlotsTest, usesAllOfAFileThatHasAnEnd) {
  Slots slots(9);  // of which number 0 is nobody's
  std::vector<Slot> all = slots.allocate_in_file(20);
  ASSERT_EQ(all.size(), 8u);
  EXPECT_TRUE(slots.allocate_in_file(1).empty());
  for (std::size_t i = 0; i < all.size(); i += 2) {
    slots.release(all[i]);
  }
  EXPECT_EQ(slots.allocate_in_file(20), (std::vector<Slot>{all[0], all[2], all[4], all[6]}));
  EXPECT_EQ(Slots(1).allocate_in_file(1).size(), 0u);
}

// Beside a set that knows who has what.
TEST(SlotsTest, givesNoPlaceTwice) {
  std::mt19937 random(5);
  Slots slots(3000);
  std::set<Slot> used;
  for (int step = 0; step < 3000; ++step) {
    if (random() % 5 < 2) {
      for (const Slot slot : slots.allocate_in_file(random() % 300)) {
        ASSERT_TRUE(used.insert(slot).second);
        ASSERT_LT(number_of(slot), 3000u);
      }
    }
    for (auto i = random() % 200; i > 0 && !used.empty(); --i) {
      auto at = used.lower_bound(in_file(static_cast<std::uint32_t>(random() % 3000)));
      at = at == used.end() ? used.begin() : at;
      slots.release(*at);
      used.erase(at);
    }
  }
  const std::size_t left = slots.allocate_in_file(5000).size();
  EXPECT_EQ(left + used.size(), 2999u);
}

}  // namespace
}  // namespace fallow::pager
