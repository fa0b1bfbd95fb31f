#include "lab/scenario_state.h"

#include <gtest/gtest.h>

namespace fallow::lab {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

RunPlan plan(const std::string& workload, Trigger start = {}) {
  return {.workload = workload, .bytes = 1 << 20, .start = std::move(start)};
}

GuestLine attempt(std::uint64_t bytes) {
  return {LineKind::kAttempt, bytes, 0, ""};
}

GuestLine phase(const std::string& name) {
  return {LineKind::kPhase, 0, 1, "", name};
}

GuestLine ended() {
  return {LineKind::kExited, 0, 0, ""};
}

using Occasions = std::vector<Occasion>;

TEST(ScenarioState, startsWhatHasNothingToWaitFor) {
  Scenario scenario;
  scenario.vms = {{.name = "a", .runs = {plan("sort-words")}},
                  {.name = "b", .runs = {plan("sort-words", {.delay_ns = 3 * kSecond})}}};
  ScenarioState state(scenario, 10 * kSecond);
  EXPECT_EQ(state.due(10 * kSecond), (Occasions{{0, 0, 0}}));
  EXPECT_EQ(state.due(10 * kSecond), Occasions{});
  EXPECT_EQ(state.next_ns(), 13 * kSecond);
  EXPECT_EQ(state.due(13 * kSecond - 1), Occasions{});
  EXPECT_EQ(state.due(13 * kSecond), (Occasions{{1, 0, 0}}));
  EXPECT_FALSE(state.next_ns());
  EXPECT_EQ(state.running(1), (Occasion{1, 0, 0}));
  state.take(0, ended(), 14 * kSecond);
  EXPECT_FALSE(state.running(0));
  EXPECT_FALSE(state.over());
  state.take(1, ended(), 15 * kSecond);
  EXPECT_TRUE(state.over());
}

TEST(ScenarioState, repeatsAfterAPause) {
  Scenario scenario;
  RunPlan twice = plan("sort-words");
  twice.times = 2;
  twice.pause_ns = 5 * kSecond;
  scenario.vms = {{.name = "a", .runs = {twice, plan("usemem")}}};
  ScenarioState state(scenario, 0);
  EXPECT_EQ(state.due(0), (Occasions{{0, 0, 0}}));
  state.take(0, ended(), kSecond);
  EXPECT_EQ(state.due(5 * kSecond), Occasions{});
  EXPECT_EQ(state.due(6 * kSecond), (Occasions{{0, 0, 1}}));
  state.take(0, ended(), 7 * kSecond);
  // What comes next does not wait for the pause.
  EXPECT_EQ(state.due(7 * kSecond), (Occasions{{0, 1, 0}}));
  state.take(0, ended(), 8 * kSecond);
  EXPECT_TRUE(state.over());
}

TEST(ScenarioState, waitsForAllThatAreNamed) {
  Scenario scenario;
  const Trigger both{
      .kind = Trigger::Kind::kAttempt, .vms = {0, 1}, .bytes = 100, .delay_ns = kSecond};
  scenario.vms = {{.name = "a", .runs = {plan("usemem")}},
                  {.name = "b", .runs = {plan("usemem")}},
                  {.name = "c", .runs = {plan("usemem", both)}}};
  ScenarioState state(scenario, 0);
  EXPECT_EQ(state.due(0).size(), 2u);
  state.take(0, attempt(100), kSecond);
  state.take(1, attempt(99), kSecond);
  EXPECT_FALSE(state.next_ns());
  state.take(1, attempt(100), 2 * kSecond);
  state.take(1, attempt(200), 9 * kSecond);
  EXPECT_EQ(state.next_ns(), 3 * kSecond);
  EXPECT_EQ(state.due(9 * kSecond), (Occasions{{2, 0, 0}}));
}

TEST(ScenarioState, knowsPhasesAndEnds) {
  Scenario scenario;
  scenario.vms = {
      {.name = "a", .runs = {plan("graph-analytics")}},
      {.name = "b",
       .runs = {plan("usemem", {.kind = Trigger::Kind::kPhase, .vms = {0}, .phase = "build"})}},
      {.name = "c", .runs = {plan("usemem", {.kind = Trigger::Kind::kEnd, .vms = {0}})}}};
  ScenarioState state(scenario, 0);
  EXPECT_EQ(state.due(0).size(), 1u);
  state.take(0, phase("load"), 1);
  EXPECT_EQ(state.due(1), Occasions{});
  state.take(0, phase("build"), 2);
  EXPECT_EQ(state.due(2), (Occasions{{1, 0, 0}}));
  state.take(0, ended(), 3);
  EXPECT_EQ(state.due(3), (Occasions{{2, 0, 0}}));
}

TEST(ScenarioState, startsNothingOnceItIsStopped) {
  Scenario scenario;
  scenario.vms = {{.name = "a", .runs = {plan("usemem")}},
                  {.name = "b", .runs = {plan("usemem", {.delay_ns = 4 * kSecond})}}};
  scenario.stop =
      Trigger{.kind = Trigger::Kind::kAttempt, .vms = {0}, .bytes = 100, .delay_ns = kSecond};
  ScenarioState state(scenario, 0);
  EXPECT_EQ(state.due(0).size(), 1u);
  state.take(0, attempt(100), 2 * kSecond);
  EXPECT_FALSE(state.stop_is_due(2 * kSecond));
  EXPECT_EQ(state.next_ns(), 3 * kSecond);
  EXPECT_TRUE(state.stop_is_due(3 * kSecond));
  EXPECT_EQ(state.due(5 * kSecond), Occasions{});
}

}  // namespace
}  // namespace fallow::lab
