#include "lab/agreement.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "base/temp_dir.h"
#include "lab/mark_book.h"
#include "recording/file.h"
#include "sim/script.h"

namespace fallow::lab {
namespace {

using recording::MarkKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ComparedPolicy policy(double real_s, double replayed_s, std::uint64_t runs = 1,
                      double deviation = 0) {
  return {.policy = "p", .real_s = {runs, real_s, deviation}, .replayed_s = replayed_s};
}

TEST(KendallTau, isOneForTheSameOrderAndMinusOneForTheOther) {
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(1, 10), policy(2, 20), policy(3, 90)}), 1);
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(1, 90), policy(2, 20), policy(3, 10)}), -1);
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(1, 20), policy(2, 10), policy(3, 90)}), 1.0 / 3);
  EXPECT_FALSE(kendall_tau({policy(1, 1)}).has_value());
}

TEST(KendallTau, takesWhatTheNoiseHidesForATie) {
  // 1% apart, once each: whatever the replay says of the first two agrees by half.
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(1, 20), policy(1.01, 10), policy(3, 90)}),
                   2 / std::sqrt(2.0 * 3));
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(1, 10), policy(1.01, 10.001), policy(3, 90)}), 1);
  // 50% apart, but so, nearly, were two runs of one policy.
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(2, 2, 2, 1), policy(3, 3, 2, 1)}), 1);
  EXPECT_DOUBLE_EQ(*kendall_tau({policy(2, 2, 2, 1), policy(3, 30, 2, 1)}), 0);
}

TEST(MeanTau, leavesOutWhatHasNone) {
  EXPECT_FALSE(mean_tau({}).has_value());
  EXPECT_DOUBLE_EQ(*mean_tau({{.tau = 1.0}, {.tau = std::nullopt}, {.tau = 0.5}}), 0.75);
}

TEST(FindAgreements, sayWhatToDoWhereNothingIsRecorded) {
  const TempDir folder;
  const auto none = find_agreements(folder.path(), {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(none.error().text, HasSubstr("--record"));
}

// Runs of a scenario under greedy and recorded, and its recording.
std::vector<RunRecord> runs_with_recording(const std::string& folder, const std::string& scenario,
                                           const std::string& recording) {
  std::ofstream(recording_path(folder, scenario), std::ios::binary) << recording;
  RunRecord greedy{.key = {.scenario = scenario, .policy = "greedy", .backing = "hdd (emulated)"},
                   .frames_total = 16,
                   .vms = {{.name = "a", .running_s = 1}}};
  RunRecord recorded = greedy;
  recorded.key.policy = kRecorded;
  return {greedy, recorded};
}

TEST(FindAgreements, tellWhatCannotBeReplayedBesideTheOthers) {
  const TempDir folder;
  const std::vector<recording::Operation> puts = {{.at_ns = 5, .client = 1}};
  auto runs = runs_with_recording(folder.path(), "bad", "no recording");
  EXPECT_FALSE(find_agreements(folder.path(), runs));
  for (const RunRecord& run : runs_with_recording(
           folder.path(), "good",
           recording::beginning_of({}) + recording::blocks_of(puts) + recording::end_of(0))) {
    runs.push_back(run);
  }
  const auto all = find_agreements(folder.path(), runs);
  ASSERT_TRUE(all) << all.error().text;
  ASSERT_EQ(all->size(), 2u);
  EXPECT_THAT(all->front().error, HasSubstr("bad.trace"));
  EXPECT_EQ(all->back().error, "");
  EXPECT_EQ(all->back().policies.size(), 1u);
  EXPECT_THAT(to_table(*all), HasSubstr("error: " + all->front().error));
  EXPECT_THAT(to_json(*all), HasSubstr("bad.trace"));
}

TEST(FindAgreements, takeNoRecordingOfAnotherPlaceButOfAnotherBackingStore) {
  const TempDir folder;
  const std::vector<recording::Operation> puts = {{.at_ns = 5, .client = 1}};
  auto runs = runs_with_recording(
      folder.path(), "one",
      recording::beginning_of({}) + recording::blocks_of(puts) + recording::end_of(0));
  runs[1].key.backing = "ssd (emulated)";
  EXPECT_TRUE(find_agreements(folder.path(), runs));
  runs[1].key.seed = 2;
  EXPECT_FALSE(find_agreements(folder.path(), runs));
}

GuestLine line(LineKind kind, std::uint64_t number, const std::string& name = "") {
  return {.kind = kind, .number = number, .milliseconds = 0, .text = "", .name = name};
}

TEST(MarkBook, knowsWhatEachBeginningWaitedFor) {
  Scenario scenario;
  scenario.vms = {{.name = "a"}, {.name = "b"}};
  MarkBook book(scenario);
  const Trigger attempt{.kind = Trigger::Kind::kAttempt, .vms = {0}, .bytes = 20, .delay_ns = 5};
  const Trigger phase{.kind = Trigger::Kind::kPhase, .vms = {0}, .phase = "fill"};
  const Trigger ends{.kind = Trigger::Kind::kEnd, .vms = {0, 1}};
  book.begin(0, {}, 1);                                // 1
  book.take(0, line(LineKind::kAttempt, 10), 2);       // 2
  book.take(0, line(LineKind::kAttempt, 30), 3);       // 3
  book.take(0, line(LineKind::kAttempt, 40), 4);       // 4
  book.take(0, line(LineKind::kPhase, 0, "fill"), 5);  // 5
  book.take(0, line(LineKind::kStep, 40), 5);
  book.begin(1, attempt, 6);  // 6
  book.end(0, 7);             // 7
  book.end(1, 8);             // 8
  book.begin(1, phase, 9);    // 9
  book.end(1, 10);            // 10
  book.stop(0, ends, 11);     // 11
  const auto& marks = book.marks();
  ASSERT_EQ(marks.size(), 11u);
  EXPECT_THAT(marks[0].after, IsEmpty());
  EXPECT_THAT(marks[5].after, ElementsAre(3));
  EXPECT_EQ(marks[5].delay_ns, 5u);
  EXPECT_EQ(marks[5].client, "b");
  EXPECT_THAT(marks[8].after, ElementsAre(5));
  EXPECT_EQ(marks[10].kind, MarkKind::kStop);
  EXPECT_THAT(marks[10].after, ElementsAre(7, 10));
}

TEST(MarkBook, hasAStopByTheClockWaitForWhoBeganFirst) {
  Scenario scenario;
  scenario.vms = {{.name = "a"}, {.name = "b"}};
  MarkBook book(scenario);
  book.begin(1, {.delay_ns = 10}, 12);
  book.begin(0, {.delay_ns = 30}, 31);
  book.stop(0, {.delay_ns = 60}, 61);
  book.stop(1, {.delay_ns = 60}, 61);
  const auto& marks = book.marks();
  ASSERT_EQ(marks.size(), 4u);
  EXPECT_THAT(marks[2].after, ElementsAre(1));
  EXPECT_EQ(marks[2].delay_ns, 50u);
  EXPECT_THAT(marks[3].after, ElementsAre(1));
  // Which is what a replay takes.
  recording::Recording recording;
  recording.marks = marks;
  EXPECT_TRUE(sim::make_script(recording));
}

}  // namespace
}  // namespace fallow::lab
