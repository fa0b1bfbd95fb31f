#include "ring/spin_budget.h"

#include <gtest/gtest.h>

namespace fallow::ring {
namespace {

TEST(SpinBudget, Found_keepsLookingForLong) {
  SpinBudget budget;
  for (int i = 0; i < 100; ++i) {
    budget.found();
    EXPECT_EQ(budget.limit_ns(), SpinBudget::kLongestNs);
  }
}

TEST(SpinBudget, Slept_looksLessAndLess) {
  SpinBudget budget;
  std::uint64_t before = budget.limit_ns();
  for (int i = 0; i < 5; ++i) {
    budget.slept();
    EXPECT_LT(budget.limit_ns(), before);
    before = budget.limit_ns();
  }
  EXPECT_EQ(before, 100'000u >> 5);
  budget.slept();
  EXPECT_EQ(budget.limit_ns(), SpinBudget::kShortestNs);
}

TEST(SpinBudget, Slept_manyTimes_triesAgainInAWhileAndAtASmallShareOfTheTime) {
  SpinBudget budget;
  unsigned long_ones = 0;
  constexpr unsigned kSleeps = 1600;
  for (unsigned i = 0; i < kSleeps; ++i) {
    budget.slept();
    long_ones += budget.limit_ns() == SpinBudget::kLongestNs;
  }
  EXPECT_EQ(long_ones, kSleeps / SpinBudget::kSleepsToTryAgain);
}

TEST(SpinBudget, Found_afterManySleeps_isBackAtOnce) {
  SpinBudget budget;
  for (int i = 0; i < 10; ++i) {
    budget.slept();
  }
  budget.found();
  EXPECT_EQ(budget.limit_ns(), SpinBudget::kLongestNs);
  budget.slept();
  EXPECT_EQ(budget.limit_ns(), SpinBudget::kLongestNs / 2);
}

}  // namespace
}  // namespace fallow::ring
