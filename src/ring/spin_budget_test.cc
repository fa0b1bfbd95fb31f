#include "ring/spin_budget.h"

#include <gtest/gtest.h>

namespace fallow::ring {
namespace {

constexpr std::uint64_t kLongestNs = 64'000;
constexpr std::uint64_t kShortestNs = 2'000;

TEST(SpinBudget, Found_keepsLookingForLong) {
  SpinBudget budget(kLongestNs, kShortestNs);
  for (int i = 0; i < 100; ++i) {
    budget.found();
    EXPECT_EQ(budget.limit_ns(), kLongestNs);
  }
}

TEST(SpinBudget, Missed_looksHalfAsLongEachTime) {
  SpinBudget budget(kLongestNs, kShortestNs);
  for (std::uint64_t expected = kLongestNs / 2; expected >= kShortestNs; expected /= 2) {
    budget.missed();
    EXPECT_EQ(budget.limit_ns(), expected);
  }
  budget.missed();
  EXPECT_EQ(budget.limit_ns(), kShortestNs);
}

TEST(SpinBudget, Missed_manyTimes_looksForLongAgainOnceInAWhile) {
  SpinBudget budget(kLongestNs, kShortestNs);
  unsigned long_ones = 0;
  constexpr unsigned kMisses = 1600;
  for (unsigned i = 0; i < kMisses; ++i) {
    budget.missed();
    long_ones += budget.limit_ns() == kLongestNs;
  }
  EXPECT_EQ(long_ones, kMisses / SpinBudget::kTriesAgainEvery);
}

TEST(SpinBudget, Found_afterManyMisses_isBackAtOnce) {
  SpinBudget budget(kLongestNs, kShortestNs);
  for (int i = 0; i < 10; ++i) {
    budget.missed();
  }
  budget.found();
  EXPECT_EQ(budget.limit_ns(), kLongestNs);
  budget.missed();
  EXPECT_EQ(budget.limit_ns(), kLongestNs / 2);
}

}  // namespace
}  // namespace fallow::ring
