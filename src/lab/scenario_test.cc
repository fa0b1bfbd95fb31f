#include "lab/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_dir.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;

constexpr char kGood[] = R"(name = "two"
memory = "64M"
stop = { when = ["b"], attempts = "40M", after = "1s" }

[[vm]]
name = "a"
ram = "32M"
[[vm.run]]
workload = "graph-analytics"
size = "64M"
times = 2
pause = "5s"

[[vm]]
name = "b"
ram = "16M"
[[vm.run]]
workload = "usemem"
size = "64M"
step = "8M"
for_ever = true
start = { when = ["a"], phase = "build", after = "2s" }
)";

// kGood with `from` replaced by `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string errors_of(const std::string& toml) {
  const TempDir folder;
  const std::string path = folder.path() + "/s.toml";
  std::ofstream(path) << toml;
  const auto scenario = load_scenario(path);
  return scenario ? "" : scenario.error().text.substr(folder.path().size() + 1);
}

TEST(Scenario, isReadWhole) {
  const ScenarioReading reading = read_scenario(kGood);
  ASSERT_TRUE(reading.errors.empty()) << reading.errors.front().text;
  const Scenario& scenario = reading.scenario;
  EXPECT_EQ(scenario.name, "two");
  EXPECT_EQ(scenario.memory_bytes, 64u << 20);
  EXPECT_EQ(scenario.backing, "hdd");
  EXPECT_EQ(scenario.repetitions, 5u);
  ASSERT_EQ(scenario.vms.size(), 2u);
  EXPECT_EQ(scenario.vms[0].runs[0].times, 2u);
  EXPECT_EQ(scenario.vms[0].runs[0].pause_ns, 5'000'000'000u);
  EXPECT_EQ(scenario.vms[0].runs[0].start.kind, Trigger::Kind::kBegin);
  const Trigger& start = scenario.vms[1].runs[0].start;
  EXPECT_EQ(start.kind, Trigger::Kind::kPhase);
  EXPECT_EQ(start.phase, "build");
  EXPECT_EQ(start.vms, std::vector<std::size_t>{0});
  EXPECT_EQ(start.delay_ns, 2'000'000'000u);
  ASSERT_TRUE(scenario.stop);
  EXPECT_EQ(scenario.stop->kind, Trigger::Kind::kAttempt);
  EXPECT_EQ(scenario.stop->bytes, 40u << 20);
}

struct Wrong {
  const char* from;
  const char* to;
  const char* error;
};

TEST(Scenario, tellsWhatIsWrongAndWhere) {
  const Wrong all[] = {
      {"name = \"two\"\n", "", "s.toml:1: the scenario needs a key 'name'"},
      {"memory = \"64M\"", "memory = \"64X\"", "s.toml:2: memory: "},
      {"memory = \"64M\"", "memry = \"64M\"",
       "s.toml:2: unknown key 'memry' in the scenario: did "
       "you mean 'memory'?"},
      {"memory = \"64M\"", "memory = \"64M\"\nbacking = \"tape\"", "s.toml:3: backing: "},
      {"memory = \"64M\"", "memory = \"64M\"\ndemotion = 99999999999",
       "s.toml:3: demotion: '99999999999' is no number of pages a second, 1 to "},
      {"memory = \"64M\"", "memory = \"64M\"\npolicies = \"greedy,best\"",
       "s.toml:3: policies: no policy is called 'best'"},
      {"\"graph-analytics\"", "\"graph-analytic\"",
       "s.toml:9: workload: no workload is called 'graph-analytic'; did you mean "
       "'graph-analytics'?"},
      {"size = \"64M\"\ntimes", "size = \"1K\"\ntimes", "s.toml:10: size: '1K' must be from 1M"},
      {"size = \"64M\"\ntimes", "size = \"4M\"\ntimes",
       "s.toml:10: graph-analytics needs a size of 5 MiB or more"},
      {"step = \"8M\"", "step = \"65M\"", "s.toml:20: step must be at most the size, 64 MiB"},
      {"times = 2", "times = 0", "s.toml:11: times: '0' must be from 1 to 1000"},
      {"times = 2", "for_ever = true",
       "s.toml:8: graph-analytics ends by itself: take 'for_ever' and 'idle' out"},
      {"name = \"b\"", "name = \"a\"", "s.toml:15: name: there already is a VM 'a'"},
      {"when = [\"a\"]", "when = [\"c\"]", "s.toml:22: there is no VM 'c'"},
      {"when = [\"a\"]", "when = []", "s.toml:22: when must be a list of VMs' names"},
      {"phase = \"build\"", "phase = \"rest\"",
       "s.toml:22: start: VM 'a' never has a phase 'rest'"},
      {"phase = \"build\"", "attempts = \"32M\"",
       "s.toml:22: start: VM 'a' never takes 32 MiB in a block of usemem: of other workloads wait"},
      {"attempts = \"40M\"", "attempts = \"65M\"", "s.toml:3: stop: VM 'b' never takes 65 MiB"},
      {"when = [\"b\"], attempts = \"40M\"", "when = [\"a\", \"b\"], ended = true",
       "s.toml:3: stop: VM 'b' never ends"},
      {"attempts = \"40M\"", "phase = \"fill\"", "s.toml:3: stop: VM 'b' never has a phase 'fill'"},
      {"phase = \"build\"", "phase = \"build\", ended = true",
       "s.toml:22: start with 'when' needs one of"},
      {"when = [\"a\"], phase = \"build\"", "phase = \"build\"",
       "s.toml:22: start with 'when' needs one of"},
      {"start = { when", "start = 5 #", "s.toml:22: start must be a table such as"},
      {"when = [\"b\"]", "whenever = [\"b\"]", "s.toml:3: unknown key 'whenever' in stop"},
      {"stop = {", "#", "s.toml:17: it would go on for ever: add a [stop] to the scenario"},
      {"pause = \"5s\"", "pause = \"5s\"\nstart = { when = [\"b\"], attempts = \"8M\" }",
       "waits here for what waits for it: nobody starts"},
  };
  for (const Wrong& wrong : all) {
    EXPECT_THAT(errors_of(changed(wrong.from, wrong.to)), HasSubstr(wrong.error)) << wrong.to;
  }
}

TEST(Scenario, knowsHowFarUsememComes) {
  // Blocks of 24 and 48 MiB: it never tries the whole 64.
  const auto errors = [](const std::string& attempts) {
    std::string text = changed("step = \"8M\"", "step = \"24M\"");
    text.replace(text.find("40M"), 3, attempts);
    return errors_of(text);
  };
  EXPECT_EQ(errors("48M"), "");
  EXPECT_THAT(errors("49M"), HasSubstr("s.toml:3: stop: VM 'b' never takes 49 MiB"));
}

TEST(Scenario, takesThePhaseFillOfWhatIsIdleThen) {
  std::string text = changed("for_ever = true", "idle = true");
  text.replace(text.find("attempts = \"40M\""), 16, "phase = \"fill\"");
  EXPECT_EQ(errors_of(text), "");
}

TEST(Scenario, needsAVm) {
  EXPECT_EQ(errors_of("name = \"none\"\nmemory = \"1G\"\n"),
            "s.toml:1: a scenario needs at least one [[vm]]");
  EXPECT_EQ(errors_of("name = \"none\"\nmemory = \"1G\"\n[[vm]]\nname = \"a\"\nram = \"1M\"\n"),
            "s.toml:3: VM 'a' runs nothing: add a [[vm.run]]");
  EXPECT_THAT(errors_of("name = "), HasSubstr("s.toml:1: not TOML"));
}

TEST(Scenario, tellsEveryErrorAtOnce) {
  EXPECT_EQ(errors_of("nam = 1\nmemory = \"x\"\n[[vm]]\n").substr(0, 9), "s.toml:1:");
  const ScenarioReading reading = read_scenario("nam = 1\nmemory = \"x\"\n[[vm]]\n");
  EXPECT_GE(reading.errors.size(), 5u);
}

TEST(Scenario, findsAWaitThatGoesRoundThroughSeveralVms) {
  std::string toml = "name = \"round\"\nmemory = \"64M\"\n";
  for (const auto& [name, other] : {std::pair("a", "b"), {"b", "c"}, {"c", "a"}}) {
    toml += "[[vm]]\nname = \"" + std::string(name) +
            "\"\nram = \"32M\"\n[[vm.run]]\nworkload = \"sort-words\"\nsize = \"8M\"\n"
            "start = { when = [\"" +
            other + "\"], ended = true }\n";
  }
  EXPECT_EQ(read_scenario(toml).errors.size(), 3u);
}

TEST(Scenario, scalesSizesAndTimes) {
  const auto small = scaled(read_scenario(kGood).scenario, 0.25);
  ASSERT_TRUE(small) << small.error().text;
  EXPECT_EQ(small->memory_bytes, 16u << 20);
  EXPECT_EQ(small->interval_ns, 250'000'000u);
  EXPECT_EQ(small->vms[0].ram_bytes, 8u << 20);
  EXPECT_EQ(small->vms[0].runs[0].bytes, 16u << 20);
  EXPECT_EQ(small->vms[1].runs[0].step_bytes, 2u << 20);
  EXPECT_EQ(small->vms[1].runs[0].start.delay_ns, 500'000'000u);
  EXPECT_EQ(small->scale, 0.25);
}

// An odd factor rounds steps to pages: a block that reaches the trigger unscaled reaches it scaled.
TEST(Scenario, scaledTriggersAreReachedByTheSameBlock) {
  for (const double factor : {0.0313, 0.07, 0.11, 0.3, 0.77, 1.3}) {
    const auto odd = scaled(read_scenario(kGood).scenario, factor);
    if (!odd) {
      continue;  // graph-analytics would become too small
    }
    EXPECT_LE(odd->stop->bytes, 5 * odd->vms[1].runs[0].step_bytes) << factor;
    EXPECT_GT(odd->stop->bytes, 4 * odd->vms[1].runs[0].step_bytes) << factor;
  }
}

// Steps of 1280 KiB are 20 pages at 1/16, of 1436 KiB 22.4.
TEST(Scenario, refusesFactorsAtWhichATriggerIsNotReached) {
  const auto small = [](const std::string& step) {
    std::string text = changed("attempts = \"40M\"", "attempts = \"64M\"");
    text.replace(text.find("size = \"64M\"\ntimes"), 12, "size = \"1G\"");
    text.replace(text.find("step = \"8M\""), 11, "step = \"" + step + "\"");
    text.replace(text.find("size = \"64M\"\nstep"), 12, "size = \"65M\"");
    return scaled(read_scenario(text).scenario, 1.0 / 16);
  };
  EXPECT_TRUE(small("1280K")) << small("1280K").error().text;
  ASSERT_FALSE(small("1436K"));
  EXPECT_THAT(small("1436K").error().text, HasSubstr(":3: two: at this scale VM 'b' never takes"));
}

TEST(Scenario, refusesFactorsThatLeaveNothing) {
  EXPECT_FALSE(scaled(read_scenario(kGood).scenario, 0));
  EXPECT_FALSE(scaled(read_scenario(kGood).scenario, 5));
  const auto small = scaled(read_scenario(kGood).scenario, 0.04);
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().text, HasSubstr(":8: two, VM 'a': graph-analytics needs a size of"));
}

}  // namespace
}  // namespace fallow::lab
