#include "memory/buddy_allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace fallow::memory {
namespace {

TEST(BuddyAllocator, allocate_takesTheLowestAddress) {
  BuddyAllocator buddy(64);
  buddy.free_run(0, 64);
  EXPECT_EQ(buddy.allocate(0), 0u);
  EXPECT_EQ(buddy.allocate(0), 1u);
  EXPECT_EQ(buddy.allocate(2), 4u);
  buddy.free(0, 0);
  EXPECT_EQ(buddy.allocate(0), 0u);
}

TEST(BuddyAllocator, allFreedAgain_joinsIntoTheLargestBlocks) {
  BuddyAllocator buddy(1000);
  buddy.free_run(0, 1000);
  const auto whole = buddy.largest_free_order();
  std::vector<std::uint32_t> taken;
  while (const auto frame = buddy.allocate(0)) {
    taken.push_back(*frame);
  }
  EXPECT_EQ(taken.size(), 1000u);
  EXPECT_EQ(buddy.free_frames(), 0u);
  EXPECT_FALSE(buddy.largest_free_order().has_value());
  for (const auto frame : taken) {
    buddy.free(frame, 0);
  }
  EXPECT_EQ(buddy.largest_free_order(), whole);
  EXPECT_EQ(buddy.free_frames(), 1000u);
}

TEST(BuddyAllocator, emptyOrOversizedRequests_giveNothing) {
  BuddyAllocator none(0);
  EXPECT_FALSE(none.allocate(0).has_value());
  BuddyAllocator few(5);
  few.free_run(0, 5);
  EXPECT_FALSE(few.allocate(3).has_value());
  EXPECT_EQ(few.allocate(2), 0u);
}

// Against a model: no frame is handed out twice, none is lost.
TEST(BuddyAllocator, randomOperations_agreeWithASetOfFrames) {
  for (const std::uint32_t frames : {1u, 63u, 64u, 65u, 4097u}) {
    BuddyAllocator buddy(frames);
    buddy.free_run(0, frames);
    std::mt19937 random(frames);
    std::set<std::uint32_t> used;
    std::vector<std::pair<std::uint32_t, unsigned>> blocks;
    for (int step = 0; step < 200'000; ++step) {
      if (random() % 2 == 0) {
        const auto order = static_cast<unsigned>(random() % 5);
        if (const auto first = buddy.allocate(order)) {
          ASSERT_EQ(*first % (1u << order), 0u);
          for (std::uint32_t i = 0; i < 1u << order; ++i) {
            ASSERT_LT(*first + i, frames);
            ASSERT_TRUE(used.insert(*first + i).second);
          }
          blocks.emplace_back(*first, order);
        }
      } else if (!blocks.empty()) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        const auto [first, order] = blocks.back();
        blocks.pop_back();
        buddy.free(first, order);
        for (std::uint32_t i = 0; i < 1u << order; ++i) {
          used.erase(first + i);
        }
      }
      ASSERT_EQ(buddy.free_frames() + used.size(), frames);
    }
  }
}

}  // namespace
}  // namespace fallow::memory
