#include "policy/greedy.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

TEST(Greedy, Decide_anyVms_allGetTheWholeNode) {
  EXPECT_THAT(targets_of(Greedy().decide(example_statistics())),
              testing::ElementsAre(1000, 1000, 1000));
}

TEST(Greedy, Decide_noVms_nothing) {
  EXPECT_TRUE(Greedy().decide({.total = 1000, .vms = {}}).empty());
}

TEST(Greedy, InitialTarget_anyCount_isTheWholeNode) {
  EXPECT_EQ(Greedy().initial_target(1000, 7), 1000u);
}

}  // namespace
}  // namespace fallow::policy
