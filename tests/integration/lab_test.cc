// The lab's scenarios with processes as guests: small, as a user runs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/temp_dir.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using json = nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int kSecondsMost = 300;

// At a scale of 1/16: RAM of 4 MiB each, 12 MiB of pooled memory.
constexpr char kScenario[] = R"(name = "small"
memory = "192M"
backing = "ssd"
repetitions = 1
stop = { when = ["a", "b"], ended = true }

[[vm]]
name = "a"
ram = "64M"
[[vm.run]]
workload = "sort-words"
size = "192M"
times = 2
pause = "1s"

[[vm]]
name = "b"
ram = "64M"
[[vm.run]]
workload = "graph-analytics"
size = "192M"
iterations = 3
start = { when = ["a"], phase = "build" }

[[vm]]
name = "c"
ram = "64M"
[[vm.run]]
workload = "usemem"
size = "128M"
step = "128M"
idle = true
)";

class LabScenario : public testing::Test {
 protected:
  LabScenario() { std::ofstream(file()) << kScenario; }
  [[nodiscard]] std::string file() const { return folder_.path() + "/small.toml"; }
  [[nodiscard]] std::string out() const { return folder_.path() + "/out"; }
  [[nodiscard]] Outcome run_lab(const std::string& policies) const {
    return run({bin("fallow-lab"), "run", file(), "--policies", policies, "--json", "--out", out()},
               "", kSecondsMost);
  }
  const TempDir folder_;
};

TEST_F(LabScenario, hasTheSameChecksumsUnderEveryPolicy) {
  const Outcome outcome = run_lab("no-tmem,greedy,smart-alloc:P=2,marginal");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json scenario = json::parse(outcome.out).at("scenarios").at(0);
  EXPECT_EQ(scenario.at("backing"), "ssd (emulated)");
  ASSERT_EQ(scenario.at("policies").size(), 5u);
  for (const json& policy : scenario.at("policies")) {
    EXPECT_TRUE(policy.at("checksums_agree")) << policy;
    EXPECT_GT(policy.at("total_s").at("mean"), 0) << policy;
  }
  // Memory was short: without it every put is refused, and under the others some page was held.
  const json& closed = scenario.at("policies").at(1);
  EXPECT_EQ(closed.at("policy"), "no-tmem");
  EXPECT_GT(closed.at("vms").at(0).at("failed_share"), 0.99);
  EXPECT_EQ(closed.at("vms").at(0).at("frames_peak"), 0);
  EXPECT_GT(scenario.at("policies").at(2).at("vms").at(0).at("frames_peak"), 0);
  for (const char* name : {"report.html", "runs.csv", "frames.csv", "summary.json"}) {
    EXPECT_GT(std::filesystem::file_size(out() + "/" + name), 0u) << name;
  }
}

TEST_F(LabScenario, isRecordedAndReplayed) {
  const Outcome outcome = run({bin("fallow-lab"), "run", file(), "--policies", "greedy,no-tmem",
                               "--record", "--json", "--out", out()},
                              "", kSecondsMost);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // The run that was recorded is no policy's.
  EXPECT_EQ(json::parse(outcome.out).at("scenarios").at(0).at("policies").size(), 3u);
  const Outcome agreed = run({bin("fallow-lab"), "agree", out(), "--json"});
  ASSERT_EQ(agreed.exit_code, 0) << agreed.err;
  const json scenario = json::parse(agreed.out).at("scenarios").at(0);
  EXPECT_EQ(scenario.at("scenario"), "small");
  EXPECT_TRUE(scenario.at("doubts").empty()) << scenario;
  ASSERT_EQ(scenario.at("policies").size(), 2u);
  for (const json& policy : scenario.at("policies")) {
    EXPECT_GT(policy.at("replayed_s"), 0) << policy;
  }
  const Outcome replayed = run({bin("fallow-sim"), "replay", out() + "/small.trace", "--memory",
                                "12M", "--json", "--policies", "greedy,no-tmem"});
  ASSERT_EQ(replayed.exit_code, 0) << replayed.err;
  const json policies = json::parse(replayed.out).at("policies");
  EXPECT_EQ(policies.at(0).at("policy"), "greedy");
  EXPECT_EQ(policies.at(0).at("clients").size(), 3u);
  EXPECT_LT(policies.at(0).at("refaults"), policies.at(1).at("refaults"));
  const Outcome none = run({bin("fallow-lab"), "agree", folder_.path()});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("--record"));
}

TEST_F(LabScenario, goesOnWhereItWas) {
  ASSERT_EQ(run_lab("greedy").exit_code, 0);
  const std::string runs = read_file(out() + "/runs.jsonl");
  ASSERT_EQ(std::count(runs.begin(), runs.end(), '\n'), 2);
  // As if it had been killed while it wrote the second.
  const std::size_t first = runs.find('\n') + 1;
  std::ofstream(out() + "/runs.jsonl") << runs.substr(0, first + 40);
  const Outcome again = run_lab("greedy");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("1 of 2 runs were there already"));
  const std::string more = read_file(out() + "/runs.jsonl");
  EXPECT_THAT(more, StartsWith(runs.substr(0, first)));
  EXPECT_EQ(std::count(more.begin(), more.end(), '\n'), 2);
  // Pages that leave at another rate make other runs.
  const Outcome slower = run({bin("fallow-lab"), "run", file(), "--policies", "greedy",
                              "--demotion", "100", "--json", "--out", out()},
                             "", kSecondsMost);
  ASSERT_EQ(slower.exit_code, 0) << slower.err;
  const std::string all = read_file(out() + "/runs.jsonl");
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 4);
  EXPECT_EQ(json::parse(slower.out).at("scenarios").size(), 2u);
  const Outcome compared = run({bin("fallow-lab"), "compare", out(), out()});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_THAT(compared.out, HasSubstr("1.000"));
}

TEST_F(LabScenario, refusesWhatCannotBeBeforeAnythingStarts) {
  const auto refused = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {bin("fallow-lab"), "run"});
    words.insert(words.end(), {"--out", out()});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refused({"nothing-of-that-name"}), HasSubstr("no scenario is called"));
  EXPECT_THAT(refused({}), HasSubstr("name the scenarios to run, or say --all"));
  EXPECT_THAT(refused({file(), "--backing", "tape"}), HasSubstr("tape"));
  EXPECT_THAT(refused({file(), "--demotion", "fast"}), HasSubstr("fast"));
  EXPECT_THAT(refused({file(), "--policies", "best"}), HasSubstr("no policy is called 'best'"));
  std::ofstream(file()) << "name = \"x\"\nmemory = \"1M\"\n[[vm]]\nname = \"a\"\nram = \"2T\"\n"
                           "[[vm.run]]\nworkload = \"sort-words\"\nsize = \"64M\"\n";
  EXPECT_THAT(refused({file(), "--scale", "1"}), HasSubstr("small.toml:3: x takes 2.0 TiB"));
  std::ofstream(file()) << "name = \"x\"\nmemory = \"1M\"\n";
  EXPECT_THAT(refused({file()}), HasSubstr("small.toml:1: a scenario needs at least one [[vm]]"));
  EXPECT_FALSE(std::filesystem::exists(out() + "/runs.jsonl"));
}

}  // namespace
}  // namespace fallow::test
