#include "policy/policy_list.h"

#include <gtest/gtest.h>

namespace fallow::policy {
namespace {

using Specs = std::vector<std::string>;

TEST(PolicyList, CommasPartPoliciesAndTheirSettings) {
  EXPECT_EQ(parse_policies("greedy,smart-alloc:P=2,threshold=64,no-tmem").value(),
            (Specs{"greedy", "smart-alloc:P=2,threshold=64", "no-tmem"}));
}

TEST(PolicyList, OnePolicyMayComeWithSeveralSettings) {
  EXPECT_EQ(parse_policies("smart-alloc:P=2,threshold=64,smart-alloc:P=6,threshold=64")->size(),
            2U);
}

TEST(PolicyList, RefusesWhatIsNoPolicy) {
  for (const char* list : {"", ",", "greedy,", "nothing", "P=2", "smart-alloc:P=0", "greedy,greedy",
                           "smart-alloc:P=2,Q=1"}) {
    EXPECT_FALSE(parse_policies(list).ok()) << list;
  }
}

}  // namespace
}  // namespace fallow::policy
