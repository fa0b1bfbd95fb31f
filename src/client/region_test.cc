#include "client/region.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace fallow::client {
namespace {

TEST(Region, Create_wholeHugePagesWhereOneMayBegin) {
  const auto region = Region::create(1);
  ASSERT_NE(region, nullptr);
  EXPECT_EQ(region->size(), Region::kHugePage);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(region->begin()) % Region::kHugePage, 0u);
  std::memset(region->begin(), 1, region->size());
}

TEST(Region, Allocate_full_isRefusedAndHolesAreFoundAgain) {
  const auto region = Region::create(Region::kHugePage);
  std::byte* first = region->allocate(Region::kHugePage / 2);
  std::byte* second = region->allocate(Region::kHugePage / 2);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(region->allocate(1), nullptr);
  EXPECT_TRUE(region->release(first));
  EXPECT_TRUE(region->release(second));
  EXPECT_TRUE(region->unused());
  EXPECT_EQ(region->allocate(Region::kHugePage), region->begin());
}

TEST(Region, Release_whatIsNoAllocation_isRefused) {
  const auto region = Region::create(Region::kHugePage);
  std::byte* memory = region->allocate(3 * Region::kGrain);
  std::byte elsewhere{};
  EXPECT_FALSE(region->release(memory + Region::kGrain));
  EXPECT_FALSE(region->release(&elsewhere));
  EXPECT_TRUE(region->release(memory));
  EXPECT_FALSE(region->release(memory));
}

// Against a model: allocations never overlap, keep what was written, and all of it comes back.
TEST(Region, AllocateAndRelease_atRandom_neverOverlap) {
  const auto region = Region::create(4 * Region::kHugePage);
  std::map<std::byte*, std::pair<std::size_t, unsigned char>> live;
  std::mt19937 random(1);
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0 || live.empty()) {
      const std::size_t bytes = random() % (random() % 16 == 0 ? 1'000'000 : 20'000) + 1;
      std::byte* memory = region->allocate(bytes);
      if (memory == nullptr) {
        continue;
      }
      const auto mark = static_cast<unsigned char>(random());
      const auto next = live.lower_bound(memory);
      ASSERT_TRUE(next == live.end() || memory + bytes <= next->first);
      ASSERT_TRUE(next == live.begin() ||
                  std::prev(next)->first + std::prev(next)->second.first <= memory);
      std::memset(memory, mark, 1);
      std::memset(memory + bytes - 1, mark, 1);
      live[memory] = {bytes, mark};
    } else {
      const auto one = std::next(live.begin(), static_cast<long>(random() % live.size()));
      const auto [bytes, mark] = one->second;
      ASSERT_EQ(std::to_integer<unsigned char>(one->first[0]), mark);
      ASSERT_EQ(std::to_integer<unsigned char>(one->first[bytes - 1]), mark);
      ASSERT_TRUE(region->release(one->first));
      live.erase(one);
    }
  }
  for (const auto& [memory, size] : live) {
    ASSERT_TRUE(region->release(memory));
  }
  EXPECT_TRUE(region->unused());
  EXPECT_EQ(region->allocate(4 * Region::kHugePage), region->begin());
}

}  // namespace
}  // namespace fallow::client
