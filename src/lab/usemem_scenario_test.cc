#include "lab/usemem_scenario.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/units.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

UsememSizes sizes(double scale) {
  return scaled_sizes(scale).value();
}

TEST(UsememSizes, AreTheDocumentsAtFullScale) {
  const UsememSizes full = sizes(1);
  EXPECT_EQ(full.ram, 512 * kMiB);
  EXPECT_EQ(full.tmem, 384 * kMiB);
  EXPECT_EQ(full.step, 128 * kMiB);
  EXPECT_EQ(full.block_max, 1024 * kMiB);
  EXPECT_EQ(full.third_starts, 640 * kMiB);
  EXPECT_EQ(full.all_stop, 768 * kMiB);
  EXPECT_EQ(full.swap, 2048 * kMiB);
}

TEST(UsememSizes, ScaleTogetherInWholePages) {
  for (const double scale : {0.03125, 0.1, 0.123, 0.25, 0.5, 3.3}) {
    const UsememSizes scaled = sizes(scale);
    EXPECT_EQ(scaled.step % kPageSize, 0U);
    EXPECT_EQ(scaled.third_starts, 5 * scaled.step);
    EXPECT_EQ(scaled.tmem, 3 * scaled.step);
  }
}

TEST(UsememSizes, RefuseAFactorOutOfBounds) {
  for (const double scale : {0.0, -1.0, 0.03, 8.1, std::nan(""), HUGE_VAL}) {
    EXPECT_FALSE(scaled_sizes(scale).ok()) << scale;
  }
}

TEST(UsememSizes, OverheadMakesUpForWhatScalingTookFromTheKernel) {
  EXPECT_EQ(ram_with_overhead(sizes(1), 60 * kMiB), 512 * kMiB);
  EXPECT_EQ(ram_with_overhead(sizes(0.25), 60 * kMiB), 173 * kMiB);
  EXPECT_EQ(ram_with_overhead(sizes(2), 60 * kMiB), 1024 * kMiB);
}

TEST(UsememScenario, ThirdStartsWhenBothOthersAttempt640) {
  UsememScenario scenario(sizes(1));
  EXPECT_FALSE(scenario.on_attempt(0, 640 * kMiB).start_third);
  EXPECT_FALSE(scenario.on_attempt(1, 512 * kMiB).start_third);
  EXPECT_TRUE(scenario.on_attempt(1, 640 * kMiB).start_third);
  EXPECT_FALSE(scenario.on_attempt(1, 768 * kMiB).start_third) << "only once";
}

TEST(UsememScenario, AllStopWhenTheThirdAttempts768) {
  UsememScenario scenario(sizes(1));
  scenario.on_attempt(0, 1024 * kMiB);
  EXPECT_FALSE(scenario.on_attempt(1, 1024 * kMiB).stop_all);
  EXPECT_FALSE(scenario.on_attempt(2, 640 * kMiB).stop_all);
  EXPECT_TRUE(scenario.on_attempt(2, 768 * kMiB).stop_all);
  EXPECT_FALSE(scenario.on_attempt(2, 896 * kMiB).stop_all) << "only once";
}

TEST(UsememScenario, ProgressGoesFromNoneToAll) {
  UsememScenario scenario(sizes(1));
  EXPECT_EQ(scenario.progress(), 0);
  double before = 0;
  for (std::uint64_t block = 128; block <= 768; block += 128) {
    for (std::size_t machine = 0; machine < kMachineCount; ++machine) {
      scenario.on_attempt(machine, block * kMiB);
    }
    EXPECT_GT(scenario.progress(), before);
    before = scenario.progress();
  }
  EXPECT_DOUBLE_EQ(before, 1);
}

TEST(UsememScenario, EveryMachineWritesOtherContent) {
  const UsememScenario scenario(sizes(0.25));
  EXPECT_EQ(scenario.command(0), "usemem --step 33554432 --max 268435456 --seed 1");
  EXPECT_NE(scenario.command(1), scenario.command(2));
}

}  // namespace
}  // namespace fallow::lab
