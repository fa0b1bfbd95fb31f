#include "common/pattern.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace fallow::guests {
namespace {

using Page = std::array<std::uint64_t, kPageWords>;

TEST(Pattern, FindsWhatItWrote) {
  Page page{};
  fill_page(page, {1, 2, 3});
  EXPECT_EQ(first_mismatch(page, {1, 2, 3}), kPageWords);
}

TEST(Pattern, NoticesEachWordThatChanged) {
  Page page{};
  for (std::size_t i = 0; i < kPageWords; ++i) {
    fill_page(page, {1, 2, 3});
    page[i] ^= 1;
    EXPECT_EQ(first_mismatch(page, {1, 2, 3}), i);
  }
}

TEST(Pattern, NoticesAnotherPageAnotherPassAndAnotherSeed) {
  Page page{};
  fill_page(page, {1, 2, 3});
  EXPECT_EQ(first_mismatch(page, {1, 2, 4}), 0U);
  EXPECT_EQ(first_mismatch(page, {1, 3, 3}), 0U);
  EXPECT_EQ(first_mismatch(page, {2, 2, 3}), 0U);
}

TEST(Pattern, NoWordRepeats) {
  Page page{};
  fill_page(page, {0, 0, 0});
  EXPECT_EQ(std::set<std::uint64_t>(page.begin(), page.end()).size(), kPageWords);
}

}  // namespace
}  // namespace fallow::guests
