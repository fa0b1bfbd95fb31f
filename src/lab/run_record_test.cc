#include "lab/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_dir.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;

RunRecord record() {
  RunRecord run;
  run.key = {.scenario = "s",
             .guest = "process",
             .policy = "greedy",
             .backing = "disk",
             .scale = 0.0625,
             .seed = 7,
             .repetition = 3,
             .data = "files",
             .fingerprint = "f"};
  run.conditions = {{"fallow", "1"}};
  run.frames_total = 12;
  run.seconds = 1.5;
  run.vms = {{.name = "a",
              .running_s = 1.25,
              .runs = {{.workload = "usemem",
                        .start_s = 0.5,
                        .seconds = 1.25,
                        .stopped = true,
                        .checksum = "00ff"}},
              .steps = {{.at_s = 1, .bytes = 4096, .milliseconds = 2}},
              .figures = {{"puts", 5}}}};
  run.frames = {{.at_s = 0.1, .used = {1}, .target = {2}}};
  return run;
}

TEST(RunRecord, comesBackFromItsLine) {
  const std::string line = to_json_line(record());
  const auto back = parse_run_record(line);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->key, record().key);
  EXPECT_EQ(to_json_line(*back), line);
  EXPECT_EQ(back->vms[0].runs[0].checksum, "00ff");
  EXPECT_DOUBLE_EQ(total_running_s(*back), 1.25);
}

TEST(RunRecord, refusesOtherLines) {
  for (const char* line : {"", "{}", "[1]", "{\"key\":5}", "not json"}) {
    EXPECT_FALSE(parse_run_record(line)) << line;
  }
}

TEST(RunRecord, isRefusedWithoutVmsOrWithSamplesOfOthers) {
  RunRecord wrong = record();
  wrong.frames[0].target.clear();
  EXPECT_THAT(parse_run_record(to_json_line(wrong)).error().text, HasSubstr("not of its 1 VMs"));
  wrong = record();
  wrong.frames[0].used.push_back(7);
  EXPECT_FALSE(parse_run_record(to_json_line(wrong)));
  wrong = record();
  wrong.vms.clear();
  wrong.frames.clear();
  EXPECT_THAT(parse_run_record(to_json_line(wrong)).error().text, HasSubstr("it has no VMs"));
}

TEST(RunRecords, goOnBehindALineThatWasCutOff) {
  const TempDir folder;
  const std::string path = folder.path() + "/runs.jsonl";
  EXPECT_TRUE(read_run_records(path)->empty());
  ASSERT_TRUE(append_run_record(path, record()));
  std::ofstream(path, std::ios::app) << "{\"key\":{\"scenar";
  EXPECT_EQ(read_run_records(path)->size(), 1u);
  ASSERT_TRUE(append_run_record(path, record()));
  EXPECT_EQ(read_run_records(path)->size(), 2u);
}

TEST(RunRecords, nameTheLineThatIsWrong) {
  const TempDir folder;
  const std::string path = folder.path() + "/runs.jsonl";
  ASSERT_TRUE(append_run_record(path, record()));
  std::ofstream(path, std::ios::app) << "garbage\n";
  const auto records = read_run_records(path);
  ASSERT_FALSE(records);
  EXPECT_THAT(records.error().text, HasSubstr("runs.jsonl:2: not a record of a run"));
}

}  // namespace
}  // namespace fallow::lab
