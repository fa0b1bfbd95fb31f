#include "lab/lab_record.h"

#include <gtest/gtest.h>

#include "lab/test_record.h"

namespace fallow::lab {
namespace {

TEST(LabRecord, PeakIsTheMostFramesOfThatMachine) {
  LabRecord record = test_record();
  record.policies[0].samples.push_back({5, 1, 5000, 1000});
  EXPECT_EQ(peak_frames(record.policies[0], 2), 900U);
  EXPECT_EQ(peak_frames(record.policies[0], 1), 5000U);
}

TEST(LabRecord, ShareIsOfAnEqualThird) {
  const LabRecord record = test_record();
  EXPECT_DOUBLE_EQ(peak_share(record, record.policies[0], 2), 0.9);
  // The last third of the 6 s in which all ran: the samples at 8, 9 and 10 s.
  EXPECT_DOUBLE_EQ(settled_share(record, record.policies[0], 2), 0.81);
}

TEST(LabRecord, SharesOfAnEmptyRunAreZero) {
  LabRecord record;
  record.policies.emplace_back();
  EXPECT_EQ(peak_share(record, record.policies[0], 2), 0);
  EXPECT_EQ(settled_share(record, record.policies[0], 2), 0);
}

TEST(LabRecord, StepTimeIsTheMedianOfItsPasses) {
  const LabRecord record = test_record();
  EXPECT_DOUBLE_EQ(step_seconds(record.policies[0].machines[0], 64 << 20), 2);
  EXPECT_LT(step_seconds(record.policies[0].machines[0], 96 << 20), 0);
}

TEST(LabRecord, FinishedSizesAscend) {
  EXPECT_EQ(finished_sizes(test_record()), (std::vector<std::uint64_t>{32 << 20, 64 << 20}));
}

}  // namespace
}  // namespace fallow::lab
