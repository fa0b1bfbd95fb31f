#include "lab/campaign.h"

#include <gtest/gtest.h>

#include <set>

#include "lab/process_guest.h"
#include "lab/scenario_files.h"
#include "policy/policy_list.h"

namespace fallow::lab {
namespace {

CampaignSettings settings() {
  CampaignSettings settings;
  settings.scenarios.resize(2);
  settings.scenarios[0].name = "one";
  settings.scenarios[1].name = "two";
  settings.scenarios[1].repetitions = 1;
  settings.policies = {"greedy", "no-tmem"};
  return settings;
}

TEST(PlanRuns, interleavesRepetitionsBehindAmpleRam) {
  const auto runs = plan_runs(settings());
  ASSERT_EQ(runs.size(), 1 + 5 * 2 + 1 + 2u);
  EXPECT_EQ(runs[0].key.policy, kAmple);
  EXPECT_EQ(runs[1].key.policy, "greedy");
  EXPECT_EQ(runs[2].key.policy, "no-tmem");
  EXPECT_EQ(runs[3].key.policy, "greedy");
  EXPECT_EQ(runs[3].key.repetition, 1u);
  EXPECT_EQ(runs[11].key.scenario, "two");
  std::set<RunKey> keys;
  for (const PlannedRun& run : runs) {
    keys.insert(run.key);
  }
  EXPECT_EQ(keys.size(), runs.size());
}

TEST(PlanRuns, takesAllPoliciesUnlessToldOtherwise) {
  CampaignSettings all = settings();
  all.policies.clear();
  all.repetitions = 2;
  all.scenarios[1].policies = {"greedy"};
  EXPECT_EQ(plan_runs(all).size(), 1 + 2 * all_policies().size() + 1 + 2);
}

TEST(AllPolicies, areSpelledInFull) {
  for (const std::string& policy : all_policies()) {
    const auto read = policy::parse_policies(policy);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(read->front(), policy);
  }
}

TEST(Scenarios, thatComeWithTheLabAreValidAtTheUsualScale) {
  const auto all = load_all_scenarios(FALLOW_SCENARIOS);
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_EQ(all->size(), 9u);
  EXPECT_EQ(all->front().name, "usemem");
  for (const Scenario& scenario : *all) {
    const auto small = scaled(scenario, 1.0 / 16);
    EXPECT_TRUE(small) << small.error().text;
  }
}

TEST(ProcessGuest, isPagedUnlessItHasAmpleRam) {
  ProcessGuestSettings guest{.name = "vm1", .fallow = "/bin/fallow", .agent = "/bin/agent"};
  EXPECT_EQ(process_guest_command(guest, "/s"),
            (std::vector<std::string>{"/bin/agent", "--connect", "/s"}));
  guest.ram_bytes = 4096;
  const auto command = process_guest_command(guest, "/s");
  EXPECT_EQ(command.front(), "/bin/fallow");
  EXPECT_EQ(std::vector<std::string>(command.end() - 4, command.end()),
            (std::vector<std::string>{"--", "/bin/agent", "--connect", "/s"}));
}

}  // namespace
}  // namespace fallow::lab
