#include "lab/campaign.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/temp_dir.h"
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
  EXPECT_EQ(plan_runs(all).size(), 1 + 2 * policy::tried_policies().size() + 1 + 2);
}

TEST(PlanRuns, makesEachRunOnceThoughItsScenarioIsNamedTwice) {
  CampaignSettings twice = settings();
  twice.scenarios.push_back(twice.scenarios[0]);
  twice.policies.emplace_back("greedy");
  EXPECT_EQ(plan_runs(twice).size(), plan_runs(settings()).size());
}

// What runs_to_make() leaves of the plan of one scenario under greedy that is recorded.
std::vector<std::string> policies_left(const std::vector<RunRecord>& before,
                                       const std::string& recordings) {
  CampaignSettings recorded = settings();
  recorded.scenarios.resize(1);
  recorded.policies = {"greedy"};
  recorded.repetitions = 1;
  recorded.recordings = recordings;
  const auto left = runs_to_make(plan_runs(recorded), before, recordings);
  EXPECT_TRUE(left);
  std::vector<std::string> policies;
  for (const PlannedRun& run : *left) {
    policies.push_back(run.key.policy);
  }
  return policies;
}

TEST(RunsToMake, areThoseThatAreMissingAndARecordedOneWhoseRecordingIsGone) {
  const TempDir folder;
  RunKey key = plan_runs(settings()).front().key;
  std::vector<RunRecord> before = {{.key = key}};
  EXPECT_EQ(policies_left({}, folder.path()),
            (std::vector<std::string>{kAmple, kRecorded, "greedy"}));
  key.policy = kRecorded;
  before.push_back({.key = key});
  EXPECT_EQ(policies_left(before, folder.path()), (std::vector<std::string>{kRecorded, "greedy"}));
  std::ofstream(folder.path() + "/one.trace") << "x";
  EXPECT_EQ(policies_left(before, folder.path()), std::vector<std::string>{"greedy"});
  // Another scale's has replaced it.
  key.scale = 0.5;
  before.push_back({.key = key});
  EXPECT_EQ(policies_left(before, folder.path()), (std::vector<std::string>{kRecorded, "greedy"}));
}

TEST(TriedPolicies, areSpelledInFull) {
  for (const std::string& policy : policy::tried_policies()) {
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
