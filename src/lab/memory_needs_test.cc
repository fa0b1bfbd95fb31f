#include "lab/memory_needs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow::lab {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// 24 MiB of RAM and 8 pooled; the workloads take 12 and 20 at the most.
Scenario scenario() {
  Scenario scenario{.path = "s.toml", .name = "two", .memory_bytes = 8 * kMiB};
  scenario.vms = {{.name = "a",
                   .ram_bytes = 16 * kMiB,
                   .disk_bytes = 40 * kMiB,
                   .runs = {{.bytes = 12 * kMiB}, {.bytes = 4 * kMiB}},
                   .line = 3},
                  {.name = "b",
                   .ram_bytes = 8 * kMiB,
                   .disk_bytes = 40 * kMiB,
                   .runs = {{.bytes = 20 * kMiB}},
                   .line = 9}};
  return scenario;
}

TEST(MemoryNeeds, ofMachinesAreWholeMiBWithWhatTheirKernelsKeep) {
  const VmPlan vm = scenario().vms[0];
  EXPECT_EQ(ram_bytes(vm, GuestKind::kProcess, kMiB + 1), 16 * kMiB);
  EXPECT_EQ(ram_bytes(vm, GuestKind::kMachine, kMiB + 1), 18 * kMiB);
  EXPECT_EQ(ample_ram_bytes(vm, GuestKind::kProcess, kMiB), 0u);
  EXPECT_EQ(ample_ram_bytes(vm, GuestKind::kMachine, kMiB), (17 + 24) * kMiB);
}

TEST(MemoryNeeds, areThoseOfTheRunThatTakesMost) {
  EXPECT_EQ(bytes_wanted(scenario(), GuestKind::kProcess, false), 32 * kMiB);
  EXPECT_EQ(bytes_wanted(scenario(), GuestKind::kProcess, true), (24 + 8 + 18 + 30) * kMiB);
  EXPECT_EQ(bytes_wanted(scenario(), GuestKind::kMachine, false), (16 + 24 + 8 + 40) * kMiB);
  EXPECT_EQ(bytes_wanted(scenario(), GuestKind::kMachine, true), (24 + 8 + 80) * kMiB);
  Scenario small = scenario();
  small.memory_bytes = 7 * kMiB;  // less than processes take that have no limit
  EXPECT_EQ(bytes_wanted(small, GuestKind::kProcess, false), 32 * kMiB);
}

TEST(CheckFits, refusesWhatTheHostHasNoRoomFor) {
  EXPECT_TRUE(check_fits(scenario(), GuestKind::kProcess, false, 40 * kMiB));
  const Status recorded = check_fits(scenario(), GuestKind::kProcess, true, 40 * kMiB);
  ASSERT_FALSE(recorded);
  EXPECT_THAT(recorded.error().text, HasSubstr("s.toml:9: two takes 80 MiB of RAM and pooled "
                                               "memory, and this host has 40 MiB"));
  EXPECT_FALSE(check_fits(scenario(), GuestKind::kMachine, false, 40 * kMiB));
}

}  // namespace
}  // namespace fallow::lab
