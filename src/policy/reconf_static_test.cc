#include "policy/reconf_static.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

TEST(ReconfStatic, Decide_oneActive_getsEverythingAndTheOthersNothing) {
  EXPECT_THAT(targets_of(ReconfStatic().decide(example_statistics())),
              testing::ElementsAre(1000, 0, 0));
}

TEST(ReconfStatic, Decide_noneActive_allZero) {
  NodeStatistics statistics = example_statistics();
  statistics.vms[0].cumul_puts_failed = 0;
  EXPECT_THAT(targets_of(ReconfStatic().decide(statistics)), testing::ElementsAre(0, 0, 0));
}

TEST(ReconfStatic, Decide_remainder_goesToTheFirstActive) {
  NodeStatistics statistics = example_statistics();
  statistics.total = 1001;
  statistics.vms[0].cumul_puts_failed = 0;
  statistics.vms[1].cumul_puts_failed = 1;
  statistics.vms[2].cumul_puts_failed = 5;
  EXPECT_THAT(targets_of(ReconfStatic().decide(statistics)), testing::ElementsAre(0, 501, 500));
}

TEST(ReconfStatic, Decide_activeOnce_staysActiveInQuietIntervals) {
  NodeStatistics statistics = example_statistics();
  statistics.vms[0].puts_total = statistics.vms[0].puts_succ = 0;
  EXPECT_EQ(ReconfStatic().decide(statistics)[0].target, 1000u);
}

TEST(ReconfStatic, InitialTarget_anyCount_isZero) {
  EXPECT_EQ(ReconfStatic().initial_target(1000, 1), 0u);
}

}  // namespace
}  // namespace fallow::policy
