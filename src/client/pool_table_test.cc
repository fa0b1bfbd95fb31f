#include "client/pool_table.h"

#include <gtest/gtest.h>

namespace fallow::client {
namespace {

TEST(PoolTable, Find_unknownHandles_areStale) {
  const PoolTable table;
  EXPECT_FALSE(table.find(0));
  EXPECT_FALSE(table.find(1));
  EXPECT_FALSE(table.find(UINT32_MAX));
}

TEST(PoolTable, Add_sameLabel_isTheSamePool) {
  PoolTable table;
  const auto first = table.add({0, 5}, 100);
  const auto again = table.add({0, 5}, 100);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(*first, *again);
  EXPECT_EQ(table.find(*first), 100u);
  EXPECT_NE(*table.add({0, 6}, 101), *first);
}

TEST(PoolTable, RemovedHandle_neverLeadsToThePoolThatComesAfter) {
  PoolTable table;
  const PoolHandle first = *table.add({0, 5}, 100);
  table.remove(first, 100);
  EXPECT_FALSE(table.find(first));
  const PoolHandle second = *table.add({0, 5}, 100);
  EXPECT_NE(first, second);
  EXPECT_FALSE(table.find(first));
  EXPECT_EQ(table.find(second), 100u);
}

TEST(PoolTable, Remove_poolThatWasOpenedAnewMeanwhile_staysOpen) {
  PoolTable table;
  const PoolHandle handle = *table.add({0, 5}, 100);
  EXPECT_EQ(table.add({0, 5}, 101), handle);
  table.remove(handle, 100);
  EXPECT_EQ(table.find(handle), 101u);
}

TEST(PoolTable, Renumber_keepsTheHandle) {
  PoolTable table;
  const PoolHandle handle = *table.add({1, 9}, 100);
  ASSERT_EQ(table.live().size(), 1u);
  EXPECT_EQ(table.live()[0].label.kind, 1u);
  EXPECT_EQ(table.live()[0].label.label, 9u);
  table.renumber(table.live()[0].handle, 7);
  EXPECT_EQ(table.find(handle), 7u);
  table.remove_all();
  EXPECT_FALSE(table.find(handle));
  table.renumber(handle, 8);
  EXPECT_FALSE(table.find(handle));
}

TEST(PoolTable, Add_fullTable_isRefusedUntilOneGoes) {
  PoolTable table;
  PoolHandle last = 0;
  for (std::uint32_t i = 0; i < PoolTable::kPoolsMax; ++i) {
    last = *table.add({0, i}, i);
  }
  EXPECT_FALSE(table.add({0, 1000}, 1000));
  EXPECT_EQ(table.add({0, 3}, 3), table.live()[3].handle);
  table.remove(last, PoolTable::kPoolsMax - 1);
  EXPECT_TRUE(table.add({0, 1000}, 1000));
}

}  // namespace
}  // namespace fallow::client
