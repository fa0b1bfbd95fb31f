#include "lab/report_text.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ReportText, FramesAreOneRowASampleAndMachine) {
  const std::string csv = frames_csv(test_record());
  EXPECT_THAT(csv, StartsWith("policy,time_s,vm,used,target\n"
                              "\"smart-alloc:P=2,threshold=64\",0.000,vm1,0,1000\n"));
  EXPECT_THAT(csv, HasSubstr("\"smart-alloc:P=2,threshold=64\",10.000,vm3,900,1000\n"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 11 * 3);
}

TEST(ReportText, StepsAreOneRowAPass) {
  const std::string csv = steps_csv(test_record());
  EXPECT_THAT(csv, HasSubstr("\"smart-alloc:P=2,threshold=64\",vm2,67108864,3000\n"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 4 * 3);
}

TEST(ReportText, TableSaysWhatWasEmulatedAndHowMuchTheThirdGot) {
  const std::string table = to_table(test_record());
  EXPECT_THAT(table, HasSubstr("accelerator: tcg (emulated CPU: times are not native)"));
  EXPECT_THAT(table, HasSubstr("scale: 0.2500"));
  EXPECT_THAT(table, ContainsRegex("vm3 +0.10 +2.00"));
  EXPECT_THAT(table, HasSubstr("90%"));
}

TEST(ReportText, AStepThatWasNotFinishedIsADash) {
  LabRecord record = test_record();
  record.policies[0].machines[2].steps.resize(1);
  EXPECT_THAT(to_table(record), ContainsRegex("vm3 +0.10 +- "));
}

TEST(ReportText, JsonHoldsConditionsAndTheGuestsOwnCounters) {
  const auto json = nlohmann::json::parse(to_json(test_record()));
  EXPECT_EQ(json["conditions"]["scale"], 0.25);
  EXPECT_EQ(json["policies"][0]["vms"][2]["pswpout"], 22);
  EXPECT_EQ(json["policies"][0]["third_peak_share"], 0.9);
}

TEST(ReportText, ConditionsNameScaleAcceleratorAndOverhead) {
  std::string all;
  for (const Condition& condition : describe_conditions(test_record().conditions)) {
    all += condition.name + ": " + condition.value + "\n";
  }
  EXPECT_THAT(all, HasSubstr("scale: 0.2500"));
  EXPECT_THAT(all, HasSubstr("accelerator: tcg"));
  EXPECT_THAT(all, HasSubstr("demotion: off"));
}

}  // namespace
}  // namespace fallow::lab
