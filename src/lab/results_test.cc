#include "lab/results.h"
#include "lab/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/scenario_report.h"
#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;

RunRecord record(const std::string& policy, std::uint64_t repetition, std::vector<double> seconds,
                 const std::string& scenario = "scenario-1") {
  RunRecord run;
  run.key = {.scenario = scenario,
             .guest = "process",
             .policy = policy,
             .backing = "hdd (emulated)",
             .repetition = repetition,
             .data = "generated"};
  run.frames_total = 300;
  for (std::size_t vm = 0; vm < seconds.size(); ++vm) {
    run.vms.push_back({.name = "vm" + std::to_string(vm + 1),
                       .running_s = seconds[vm],
                       .runs = {{.workload = "sort-words",
                                 .seconds = seconds[vm],
                                 .checksum = "c" + std::to_string(vm)}},
                       .figures = {{"puts", 100}, {"puts_failed", 25}}});
  }
  run.frames = {{.at_s = 0, .used = std::vector<std::uint64_t>(seconds.size(), 50)}};
  return run;
}

TEST(MeanOf, takesASamplesDeviation) {
  const Mean mean = mean_of({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(mean.count, 8u);
  EXPECT_DOUBLE_EQ(mean.mean, 5);
  EXPECT_NEAR(mean.deviation, 2.138, 0.001);
  EXPECT_EQ(mean_of({}).count, 0u);
  EXPECT_EQ(mean_of({3}).deviation, 0);
}

TEST(Differ, asksForMoreThanNoise) {
  EXPECT_TRUE(differ({5, 10, 1}, {5, 12, 1}));
  EXPECT_FALSE(differ({5, 10, 2}, {5, 11, 2}));
  EXPECT_FALSE(differ({1, 10, 0}, {5, 20, 1}));  // one value says nothing
}

TEST(JainIndex, isOneOfEqualsAndFallsToOneOfAll) {
  EXPECT_DOUBLE_EQ(jain_index({2, 2, 2}), 1);
  EXPECT_DOUBLE_EQ(jain_index({1, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(jain_index({}), 0);
}

TEST(Summarize, relatesToAmpleRam) {
  const auto all = summarize({record(kAmple, 0, {1, 2}), record("greedy", 0, {2, 8}),
                              record("greedy", 1, {4, 8}), record("greedy", 0, {9, 9}, "other")});
  ASSERT_EQ(all.size(), 2u);
  const PolicySummary* greedy = find_policy(all[0], "greedy");
  ASSERT_NE(greedy, nullptr);
  EXPECT_DOUBLE_EQ(greedy->total_s.mean, 11);
  EXPECT_DOUBLE_EQ(greedy->vms[0].slowdown, 3);
  EXPECT_DOUBLE_EQ(greedy->vms[1].slowdown, 4);
  EXPECT_DOUBLE_EQ(greedy->worst_slowdown, 4);
  EXPECT_DOUBLE_EQ(greedy->fairness, 49.0 / 50);
  EXPECT_DOUBLE_EQ(greedy->vms[0].failed_share, 0.25);
  EXPECT_TRUE(greedy->checksums_agree);
  EXPECT_EQ(find_policy(all[1], kAmple), nullptr);
}

TEST(Summarize, noticesAnotherChecksum) {
  RunRecord wrong = record("greedy", 1, {2, 2});
  wrong.vms[1].runs[0].checksum = "other";
  const auto all = summarize({record(kAmple, 0, {1, 1}), record("greedy", 0, {2, 2}), wrong});
  EXPECT_FALSE(find_policy(all[0], "greedy")->checksums_agree);
  EXPECT_THAT(to_table(all), HasSubstr("DIFFER"));
}

TEST(Summarize, settlesInTheLastThirdOfTheTimeInWhichAllRan) {
  // The third runs from 4 s on, until 10 s: the samples at 8, 9 and 10 s.
  EXPECT_EQ(summarize({test_record("greedy")})[0].policies[0].vms[0].frames_settled, 810);
  RunRecord apart = test_record("greedy");
  apart.vms[0].runs[0].seconds = 3;  // it has ended when the third starts
  EXPECT_EQ(summarize({apart})[0].policies[0].vms[0].frames_settled, std::nullopt);
  apart.vms[0].runs.clear();
  EXPECT_EQ(summarize({apart})[0].policies[0].vms[0].frames_settled, std::nullopt);
}

TEST(Summarize, takesTheMeanOfWhatIsKnownAndTheMedianOfPasses) {
  RunRecord again = test_record("greedy");
  again.key.repetition = 1;
  again.vms[0].figures = {{"pswpout", 44}};
  again.vms[0].steps = {{1, 64 << 20, 2500}};
  const auto all = summarize({test_record("greedy"), again});
  const VmSummary& vm = all[0].policies[0].vms[0];
  EXPECT_EQ(vm.swapped_out, 33);
  EXPECT_EQ(vm.swapped_in, 11);
  EXPECT_DOUBLE_EQ(vm.blocks.at(64 << 20), 2.5);  // of 1, 2, 2.5 and 3
  EXPECT_EQ(block_sizes(all[0]), (std::vector<std::uint64_t>{32 << 20, 64 << 20}));
  EXPECT_DOUBLE_EQ(equal_share(all[0]), 1000);
  EXPECT_EQ(all[0].policies[0].demotions, 12.5);
  EXPECT_EQ(all[0].conditions.at("fallow"), "1.2.3");
}

TEST(Findings, ofUsemem_sayWhetherTheThirdIsStarvedAndLifted) {
  RunRecord greedy = test_record("greedy");
  for (FramesRecord& frames : greedy.frames) {
    frames.used[2] = 100;
  }
  const auto text = to_text(findings(summarize({greedy, test_record("smart-alloc:P=2")})));
  EXPECT_THAT(text, HasSubstr("holds: usemem: greedy starves the third VM (its peak is 10%"));
  EXPECT_THAT(text, HasSubstr("holds: usemem: smart-alloc lifts the third VM to its share "
                              "(smart-alloc:P=2: its peak is 90%"));
  greedy.key.policy = "smart-alloc:P=2";
  const auto other = to_text(findings(summarize({test_record("greedy"), greedy})));
  EXPECT_THAT(other, HasSubstr("does not hold: usemem: greedy starves the third VM"));
  EXPECT_THAT(other, HasSubstr("does not hold: usemem: smart-alloc lifts the third VM"));
}

TEST(Findings, holdOrNotWithFigures) {
  const auto all = findings(summarize(
      {record("greedy", 0, {10, 10}), record("smart-alloc:P=0.25,threshold=64", 0, {12, 12}),
       record("smart-alloc:P=2,threshold=64", 0, {9, 9}), record("marginal", 0, {5, 8})}));
  const std::string text = to_text(all);
  EXPECT_THAT(text,
              HasSubstr("holds: scenario-1: smart-alloc at its best P beats greedy "
                        "(smart-alloc:P=2,threshold=64 18.00 s, greedy 20.00 s (ratio 0.90))"));
  EXPECT_THAT(text, HasSubstr("holds: scenario-1: too small a P (0.25%) is worse than greedy"));
  EXPECT_THAT(text, HasSubstr("holds: scenario-1: the untuned policy takes at most 1.02"));
}

TEST(Findings, sayWhatWasNotRun) {
  EXPECT_THAT(to_text(findings(summarize({record("greedy", 0, {1, 1})}))),
              HasSubstr("not run: scenario-1: smart-alloc at its best P beats greedy"));
}

TEST(Compare, pairsPlacesAndOtherwiseThoseThatDifferInTheirFileOnly) {
  RunRecord changed = record("greedy", 0, {30, 30});
  changed.key.fingerprint = "other";
  const auto both = summarize({record("greedy", 0, {10, 10}), changed});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(compare(both, both).size(), 2 * 3u);
  const auto all = compare(summarize({record("greedy", 0, {10, 10})}), summarize({changed}));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].right.mean, 60);
  changed.key.seed = 2;
  EXPECT_TRUE(compare(summarize({record("greedy", 0, {10, 10})}), summarize({changed})).empty());
}

TEST(Compare, pairsWhatIsTheSame) {
  const auto left = summarize({record("greedy", 0, {10, 10}), record("greedy", 1, {11, 10})});
  const auto right = summarize({record("greedy", 0, {20, 10}), record("greedy", 1, {21, 10}),
                                record("static-alloc", 0, {1, 1})});
  const auto all = compare(left, right);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].what, "vm1");
  EXPECT_TRUE(all[1].beyond_noise);
  EXPECT_FALSE(all[2].beyond_noise);
  EXPECT_THAT(to_table(all), HasSubstr("yes"));
}

}  // namespace
}  // namespace fallow::lab
