#include "pager/resident_queue.h"

#include <gtest/gtest.h>

namespace fallow::pager {
namespace {

Resident page(std::uint64_t address) {
  return {0, 1, address};
}

TEST(ResidentQueueTest, givesPagesInTheOrderInWhichTheyCame) {
  ResidentQueue queue(100);
  EXPECT_FALSE(queue.next().has_value());
  for (std::uint64_t i = 0; i < 5; ++i) {
    queue.add(page(i), std::nullopt);
  }
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(queue.next()->address, i);
  }
}

TEST(ResidentQueueTest, keepsWhatCameBackSoonFromAScan) {
  ResidentQueue queue(100);
  for (std::uint64_t i = 0; i < 50; ++i) {
    queue.add(page(i), 10);  // it left, and ten pages later it was wanted again
  }
  for (std::uint64_t i = 1000; i < 5000; ++i) {
    queue.add(page(i), std::nullopt);
    ASSERT_GE(queue.next()->address, 1000u);
  }
}

TEST(ResidentQueueTest, doesNotLetTheUsedOnesTakeEverything) {
  ResidentQueue queue(100);
  for (std::uint64_t i = 0; i < 100; ++i) {
    queue.add(page(i), 1);
  }
  queue.add(page(1000), std::nullopt);
  EXPECT_EQ(queue.next()->address, 0u);
}

TEST(ResidentQueueTest, treatsWhatWasAwayForLongAsNew) {
  ResidentQueue queue(100);
  queue.add(page(1), 1000);
  queue.add(page(2), 5);
  EXPECT_EQ(queue.next()->address, 1u);
}

}  // namespace
}  // namespace fallow::pager
