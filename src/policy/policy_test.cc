#include "policy/policy.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

using testing::HasSubstr;

std::string error_of(const char* spec) {
  const auto made = make_policy(spec);
  EXPECT_FALSE(made.ok()) << spec;
  if (made.ok()) {
    return "";
  }
  EXPECT_EQ(made.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(made.error().text.find('\n'), std::string::npos);
  return made.error().text;
}

TEST(MakePolicy, KnownNames_specNamesThem) {
  ASSERT_EQ(known_policies().size(), 6u);
  for (const PolicyDescription& description : known_policies()) {
    const auto made = make_policy(description.name);
    ASSERT_TRUE(made.ok()) << description.name;
    EXPECT_EQ((*made)->spec().substr(0, description.name.size()), description.name);
  }
}

TEST(MakePolicy, Defaults_standInTheSpec) {
  EXPECT_EQ((*make_policy("smart-alloc"))->spec(), "smart-alloc:P=2,threshold=64");
}

TEST(MakePolicy, Spec_readsBackAsItself) {
  for (const char* spec : {"smart-alloc:P=0.25,threshold=0", "smart-alloc:P=100,threshold=7",
                           "smart-alloc:P=0.000001,threshold=64", "greedy", "no-tmem"}) {
    EXPECT_EQ((*make_policy(spec))->spec(), spec);
  }
}

TEST(MakePolicy, UnknownName_listsTheKnown) {
  EXPECT_THAT(error_of("clever"), HasSubstr("'clever'"));
  EXPECT_THAT(error_of("clever"),
              HasSubstr("greedy, static-alloc, reconf-static, smart-alloc, marginal, no-tmem"));
}

TEST(MakePolicy, UnknownSetting_listsTheAllowed) {
  EXPECT_THAT(error_of("smart-alloc:Q=3"), HasSubstr("'Q': it takes P, threshold"));
  EXPECT_THAT(error_of("greedy:P=3"), HasSubstr("it takes none"));
}

TEST(MakePolicy, BadValues_refused) {
  EXPECT_THAT(error_of("smart-alloc:P=0"), HasSubstr("above 0 and at most 100"));
  EXPECT_THAT(error_of("smart-alloc:P=101"), HasSubstr("'101'"));
  EXPECT_THAT(error_of("smart-alloc:threshold=-1"), HasSubstr("threshold"));
  EXPECT_THAT(error_of("smart-alloc:threshold=1.5"), HasSubstr("threshold"));
}

TEST(MakePolicy, MalformedSpec_refused) {
  for (const char* spec : {"", ":", "smart-alloc:", "smart-alloc:P", "smart-alloc:P=",
                           "smart-alloc:P=2,", "smart-alloc:P=2,P=3", "smart-alloc:=2"}) {
    EXPECT_FALSE(error_of(spec).empty());
  }
}

TEST(Decide_allPolicies, AnyVms_oneDecisionEachInOrderWithAReason) {
  const NodeStatistics statistics = example_statistics();
  for (const PolicyDescription& description : known_policies()) {
    const auto decisions = (*make_policy(description.name))->decide(statistics);
    ASSERT_EQ(decisions.size(), statistics.vms.size());
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      EXPECT_EQ(decisions[i].id, statistics.vms[i].id);
      EXPECT_FALSE(decisions[i].reason.empty());
    }
  }
}

}  // namespace
}  // namespace fallow::policy
