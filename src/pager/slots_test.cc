#include "pager/slots.h"

#include <gtest/gtest.h>

namespace fallow::pager {
namespace {

TEST(SlotsTest, countsWhatIsWhere) {
  Slots slots;
  const Slot one = slots.allocate();
  const Slot two = slots.allocate();
  EXPECT_NE(one, kNoSlot);
  EXPECT_NE(one, two);
  slots.set_place(one, Place::kFallow);
  slots.set_place(two, Place::kFile);
  EXPECT_EQ(slots.in_fallow(), 1u);
  EXPECT_EQ(slots.in_file(), 1u);
  EXPECT_EQ(slots.place(one), Place::kFallow);
  slots.release(one);
  slots.release(two);
  EXPECT_EQ(slots.in_fallow(), 0u);
  EXPECT_EQ(slots.in_file(), 0u);
}

TEST(SlotsTest, goesOnWithWhatWasLeft) {
  Slots slots;
  slots.restore(3, Place::kFallow);
  slots.restore(1, Place::kFile);
  slots.restored();
  EXPECT_EQ(slots.in_fallow(), 1u);
  EXPECT_EQ(slots.in_file(), 1u);
  EXPECT_EQ(slots.place(3), Place::kFallow);
  // Nobody knows what the daemon has there.
  EXPECT_EQ(slots.dead(), 1u);
  EXPECT_EQ(slots.allocate(), 2u);
  EXPECT_EQ(slots.allocate(), 4u);
}

TEST(SlotsTest, usesADeadSlotAgainBeforeItIsFlushed) {
  Slots slots;
  const Slot slot = slots.allocate();
  slots.set_place(slot, Place::kFallow);
  slots.release(slot);
  EXPECT_EQ(slots.dead(), 1u);
  EXPECT_EQ(slots.allocate(), slot);
  EXPECT_EQ(slots.dead(), 0u);
}

TEST(SlotsTest, remembersThatTheDaemonHoldsAPageThoughTheNextPutNeverCame) {
  Slots slots;
  const Slot slot = slots.allocate();
  slots.set_place(slot, Place::kFallow);
  slots.release(slot);
  ASSERT_EQ(slots.allocate(), slot);
  slots.release(slot);  // called off
  EXPECT_EQ(slots.dead(), 1u);
  EXPECT_EQ(slots.in_fallow(), 0u);
}

TEST(SlotsTest, givesDeadSlotsToBeFlushedOnce) {
  Slots slots;
  std::vector<Slot> dead;
  for (int i = 0; i < 3; ++i) {
    slots.set_place(slots.allocate(), Place::kFallow);
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
  const Slot slot = slots.allocate();
  slots.set_place(slot, Place::kFile);
  slots.share(slot);
  EXPECT_TRUE(slots.shared(slot));
  slots.release(slot);
  EXPECT_EQ(slots.in_file(), 1u);
  EXPECT_FALSE(slots.shared(slot));
  slots.release(slot);
  EXPECT_EQ(slots.allocate(), slot);
}

}  // namespace
}  // namespace fallow::pager
