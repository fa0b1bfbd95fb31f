#include "lab/scenario_report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/temp_dir.h"
#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string table_of(const std::vector<RunRecord>& records) {
  return to_table(summarize(records));
}

TEST(ScenarioReport, TableSaysWhatWasEmulatedAndHowMuchEachVmGot) {
  const std::string table = table_of({test_record(kAmple), test_record("greedy")});
  EXPECT_THAT(table, HasSubstr("guests: vm (tcg (emulated CPU: times are not native)), backing "
                               "store: hdd (emulated)"));
  EXPECT_THAT(table, HasSubstr("scale 0.2500"));
  EXPECT_THAT(table, HasSubstr("3000 frames of pooled memory, an equal share is 1000"));
  EXPECT_THAT(table, HasSubstr("\n  demotion: off\n  fallow: 1.2.3\n"));
  EXPECT_THAT(table, ContainsRegex("vm3 +6.00 +1.00 +900 +90% +81% +22 +11 "));
  // With ample RAM nothing is held, and nothing swapped.
  EXPECT_THAT(table, ContainsRegex("ample +vm1 +10.00 +- +- +- +- +- +- +-\n"));
}

TEST(ScenarioReport, BlocksAreMediansAndADashWhereNoneWasFinished) {
  RunRecord record = test_record("greedy");
  record.vms[2].steps.resize(1);
  const std::string table = table_of({record});
  EXPECT_THAT(table, ContainsRegex("policy +VM +32 MiB +64 MiB\n"));
  EXPECT_THAT(table, ContainsRegex("vm2 +0.10 +2.00\n"));
  EXPECT_THAT(table, ContainsRegex("vm3 +0.10 +-\n"));
  for (VmRecord& vm : record.vms) {
    vm.steps.clear();
  }
  EXPECT_THAT(table_of({record}), Not(HasSubstr("one pass")));
}

TEST(ScenarioReport, GuestsWithoutSwap_haveDashes) {
  RunRecord record = test_record("greedy");
  record.vms[0].figures.clear();
  EXPECT_THAT(table_of({record}), ContainsRegex("vm1 +10.00 +- +900 +90% +81% +- +- "));
}

TEST(ScenarioReport, CsvHasARowForEachSampleAndEachPass) {
  const RunRecord record = test_record("smart-alloc:P=2,threshold=64");
  const std::string frames = frames_csv({record});
  EXPECT_THAT(frames,
              StartsWith("scenario,policy,repetition,at_s,vm,used,target\n"
                         "\"usemem\",\"smart-alloc:P=2,threshold=64\",0,0.000,vm1,0,1000\n"));
  EXPECT_EQ(std::count(frames.begin(), frames.end(), '\n'), 1 + 11 * 3);
  const std::string blocks = blocks_csv({record});
  EXPECT_THAT(blocks, HasSubstr("threshold=64\",0,4.000,vm2,67108864,3000\n"));
  EXPECT_EQ(std::count(blocks.begin(), blocks.end(), '\n'), 1 + 4 * 3);
}

TEST(ScenarioReport, CsvLeavesOutTheRunThatWasRecorded) {
  const std::vector<RunRecord> greedy = {test_record("greedy")};
  const std::vector<RunRecord> both = {test_record("greedy"), test_record(kRecorded)};
  EXPECT_EQ(runs_csv(both), runs_csv(greedy));
  EXPECT_EQ(frames_csv(both), frames_csv(greedy));
  EXPECT_EQ(blocks_csv(both), blocks_csv(greedy));
}

TEST(ScenarioReport, JsonHoldsConditionsAndTheGuestsOwnCounters) {
  const auto scenarios = summarize({test_record("greedy")});
  const auto scenario =
      nlohmann::json::parse(to_json(scenarios, findings(scenarios)))["scenarios"][0];
  EXPECT_EQ(scenario["conditions"]["demotion"], "off");
  const auto& vm = scenario["policies"][0]["vms"][2];
  EXPECT_EQ(vm["pswpout"], 22);
  EXPECT_EQ(vm["pswpin"], 11);
  EXPECT_EQ(vm["frames_peak"], 900);
  EXPECT_EQ(vm["frames_settled"], 810);
  EXPECT_EQ(vm["blocks"][1]["seconds"], 2);
}

TEST(ScenarioReport, WritesAllFilesAndTheHtmlNeedsNothingElse) {
  const TempDir folder;
  const std::string out = folder.path() + "/a/b";
  std::vector<RunRecord> records = {test_record(kAmple), test_record("<b>&")};
  const auto scenarios = summarize(records);
  const Status status = write_report(records, scenarios, findings(scenarios), out);
  ASSERT_TRUE(status.ok()) << status.error().text;
  for (const char* name : {"report.html", "runs.csv", "frames.csv", "blocks.csv", "summary.json"}) {
    const auto text = read_text_file(out + "/" + name, 10 << 20);
    ASSERT_TRUE(text.ok()) << name;
    EXPECT_FALSE(text->empty()) << name;
  }
  const std::string html = *read_text_file(out + "/report.html", 10 << 20);
  EXPECT_THAT(html, HasSubstr("times are not native"));
  EXPECT_THAT(html, HasSubstr("<td class=\"l\">fallow</td><td class=\"l\">1.2.3</td>"));
  EXPECT_THAT(html, HasSubstr("<td>81%</td><td>22</td><td>11</td>"));
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;&amp;"));
  EXPECT_THAT(html, Not(HasSubstr("<b>&")));
  EXPECT_THAT(html, Not(HasSubstr("src="))) << "it must need nothing else";
}

TEST(ScenarioReport, SaysWhichFolderCannotBeMade) {
  const Status status = write_report({}, {}, {}, "/proc/nowhere");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().text, HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace fallow::lab
