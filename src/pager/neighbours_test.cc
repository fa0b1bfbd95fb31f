#include "pager/neighbours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace fallow::pager {
namespace {

// Faults on pages in this order; how many faults a program has that uses all of them, where blocks
// stay for as long as `kept` faults.
std::size_t faults_of(const std::vector<std::uint64_t>& order, Neighbours& neighbours) {
  std::vector<bool> there(*std::max_element(order.begin(), order.end()) + 64);
  std::size_t faults = 0;
  for (const std::uint64_t page : order) {
    if (there[page]) {
      continue;
    }
    ++faults;
    there[page] = true;
    const Neighbours::Plan plan = neighbours.fault(page);
    for (std::uint64_t i = plan.begin; i < plan.begin + plan.pages; ++i) {
      there[i] = there[i] || i != plan.left_out;
    }
  }
  return faults;
}

TEST(Neighbours, bringsBlocksWhereAllOfThemIsUsed) {
  // Clusters of 256 pages, each used in a random order.
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> order(1 << 16);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t at = 0; at < order.size(); at += 256) {
    std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(at),
                 order.begin() + static_cast<std::ptrdiff_t>(at + 256), random);
  }
  Neighbours neighbours;
  EXPECT_LT(faults_of(order, neighbours), order.size() / 12);
}

TEST(Neighbours, restsWhereThePageAloneIsUsed) {
  std::mt19937_64 random(1);
  Neighbours neighbours;
  std::uint64_t brought = 0;
  constexpr int kFaults = 100'000;
  for (int i = 0; i < kFaults; ++i) {
    brought += neighbours.fault(random() % (1 << 24)).pages;
  }
  EXPECT_LT(brought, kFaults);
}

TEST(Neighbours, aBlockHoldsThePageAndLeavesAnotherOut) {
  Neighbours neighbours;
  for (std::uint64_t page = 5; page < 5000; page += 97) {
    const Neighbours::Plan plan = neighbours.fault(page);
    if (plan.pages == 0) {
      continue;
    }
    EXPECT_LE(plan.begin, page);
    EXPECT_GT(plan.begin + plan.pages, page);
    EXPECT_NE(plan.left_out, page);
    if (plan.left_out != UINT64_MAX) {
      EXPECT_GE(plan.left_out, plan.begin);
      EXPECT_LT(plan.left_out, plan.begin + plan.pages);
    }
  }
}

}  // namespace
}  // namespace fallow::pager
