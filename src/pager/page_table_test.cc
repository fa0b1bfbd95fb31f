#include "pager/page_table.h"

#include <gtest/gtest.h>

namespace fallow::pager {
namespace {

constexpr std::uint64_t kAt = 1 << 20;

std::uint64_t address(std::uint64_t page) {
  return kAt + page * kPageSize;
}

TEST(PageTable, FindsPagesOfItsRangesOnly) {
  PageTable table;
  EXPECT_EQ(table.find(kAt), nullptr);
  ASSERT_TRUE(table.add(kAt, 4));
  EXPECT_EQ(table.find(kAt - 1), nullptr);
  EXPECT_EQ(table.find(address(4)), nullptr);
  EXPECT_EQ(table.find(address(3) + 17), table.find(kAt) + 3);
}

TEST(PageTable, PagesStayWhereTheyAreWhenAPartGoes) {
  PageTable table;
  ASSERT_TRUE(table.add(kAt, 8));
  Page* last = table.find(address(7));
  last->slot = 7;
  table.find(address(1))->slot = 1;
  table.remove(address(2), 3);
  EXPECT_EQ(table.find(address(1))->slot, 1u);
  EXPECT_EQ(table.find(address(2)), nullptr);
  EXPECT_EQ(table.find(address(4)), nullptr);
  EXPECT_NE(table.find(address(5)), nullptr);
  EXPECT_EQ(table.find(address(7)), last);
  // The hole can be taken again, and is new then.
  ASSERT_TRUE(table.add(address(2), 3));
  EXPECT_EQ(table.find(address(2))->slot, kNoSlot);
  EXPECT_EQ(table.within(address(1), 6).size(), 3u);
}

TEST(PageTable, WithinCutsAtBothEnds) {
  PageTable table;
  ASSERT_TRUE(table.add(kAt, 4));
  ASSERT_TRUE(table.add(address(10), 4));
  const auto spans = table.within(address(3), 8);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].begin, address(3));
  EXPECT_EQ(spans[0].pages.size(), 1u);
  EXPECT_EQ(spans[1].begin, address(10));
  EXPECT_EQ(spans[1].pages.size(), 1u);
  EXPECT_EQ(spans[1].address(spans[1].pages[0]), address(10));
  table.remove(0, address(100) / kPageSize);
  EXPECT_TRUE(table.all().empty());
}

}  // namespace
}  // namespace fallow::pager
