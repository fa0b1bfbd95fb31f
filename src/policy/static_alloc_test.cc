#include "policy/static_alloc.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

TEST(StaticAlloc, Decide_remainder_goesToTheFirst) {
  EXPECT_THAT(targets_of(StaticAlloc().decide(example_statistics())),
              testing::ElementsAre(334, 333, 333));
}

TEST(StaticAlloc, Decide_noVms_nothing) {
  EXPECT_TRUE(StaticAlloc().decide({.total = 1000, .vms = {}}).empty());
}

TEST(StaticAlloc, Decide_totalZero_allZero) {
  NodeStatistics statistics = example_statistics();
  statistics.total = 0;
  EXPECT_THAT(targets_of(StaticAlloc().decide(statistics)), testing::ElementsAre(0, 0, 0));
}

TEST(StaticAlloc, Decide_moreVmsThanPages_firstGetOneEach) {
  NodeStatistics statistics = example_statistics();
  statistics.total = 2;
  EXPECT_THAT(targets_of(StaticAlloc().decide(statistics)), testing::ElementsAre(1, 1, 0));
}

TEST(StaticAlloc, InitialTarget_threeVms_isAThird) {
  EXPECT_EQ(StaticAlloc().initial_target(1000, 3), 333u);
  EXPECT_EQ(StaticAlloc().initial_target(1000, 0), 1000u);
}

}  // namespace
}  // namespace fallow::policy
