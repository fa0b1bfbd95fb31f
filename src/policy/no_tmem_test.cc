#include "policy/no_tmem.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

TEST(NoTmem, Decide_anyVms_closesAllPools) {
  EXPECT_THAT(targets_of(NoTmem().decide(example_statistics())), testing::ElementsAre(0, 0, 0));
}

TEST(NoTmem, InitialTarget_anyCount_isZero) {
  EXPECT_EQ(NoTmem().initial_target(1000, 1), 0u);
}

}  // namespace
}  // namespace fallow::policy
