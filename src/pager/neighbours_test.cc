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

struct Count {
  std::uint64_t brought = 0;
  std::uint64_t proved = 0;
};

// Faults on pages in this order, where one page of so many can be brought in unasked.
Count count_of(const std::vector<std::uint64_t>& order, std::uint64_t one_of) {
  Neighbours neighbours;
  std::vector<bool> there(*std::max_element(order.begin(), order.end()) + 64);
  Count count;
  for (const std::uint64_t page : order) {
    if (there[page]) {
      continue;
    }
    there[page] = true;
    const Neighbours::Plan plan = neighbours.fault(page);
    count.proved += plan.proved;
    std::uint32_t brought = 0;
    for (std::uint64_t i = plan.begin; i < plan.begin + plan.pages; ++i) {
      if (i != plan.left_out && i % one_of == 0 && !there[i]) {
        there[i] = true;
        ++brought;
      }
    }
    neighbours.brought(brought);
    count.brought += brought;
  }
  return count;
}

// Clusters of 256 pages, each used in a random order.
std::vector<std::uint64_t> clusters() {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> order(1 << 16);
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t at = 0; at < order.size(); at += 256) {
    std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(at),
                 order.begin() + static_cast<std::ptrdiff_t>(at + 256), random);
  }
  return order;
}

TEST(Neighbours, bringsBlocksWhereAllOfThemIsUsed) {
  const std::vector<std::uint64_t> order = clusters();
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

// Much of a block is in RAM already, or lies elsewhere in the file, and is not brought in.
TEST(Neighbours, provesNoMoreThanWasBroughtIn) {
  for (const std::uint64_t one_of : {1, 2, 5, 16}) {
    const Count count = count_of(clusters(), one_of);
    EXPECT_LE(count.proved, count.brought);
    EXPECT_GT(count.proved, count.brought / 4) << "one of " << one_of;
  }
  const Count nothing = count_of(clusters(), 1u << 20);
  EXPECT_EQ(nothing.proved, nothing.brought);
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
