#include "policy/outlook.h"

#include <gmock/gmock.h>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

using testing::DoubleNear;
using testing::Optional;

// The first 100 frames save 600 of 1000 reads, the other 900 the rest.
VmStatistics bent_vm() {
  VmStatistics vm = vm_that_reads("a", 500, 500, 500, 500);
  vm.demand.ram_pages = 500;
  vm.demand.curve = MissRatioCurve({{0, 1.0}, {500, 1.0}, {600, 0.4}, {1500, 0.0}});
  return vm;
}

TEST(Outlook, isByTheLineBetweenTheCornersOfTheCurve) {
  const Outlook outlook(bent_vm());
  EXPECT_EQ(outlook.wanted(), 1000u);
  EXPECT_DOUBLE_EQ(outlook.reads(), 1000);
  EXPECT_DOUBLE_EQ(outlook.saved_by(0), 0);
  EXPECT_DOUBLE_EQ(outlook.saved_by(50), 0.3);
  EXPECT_DOUBLE_EQ(outlook.saved_by(100), 0.6);
  EXPECT_DOUBLE_EQ(outlook.saved_by(5000), 1);
  // It ran for half a second, and would wait for another whole one with nothing.
  EXPECT_DOUBLE_EQ(outlook.speed_with(0), 0.5 / 1.5);
  EXPECT_DOUBLE_EQ(outlook.speed_with(100), 0.5 / 0.9);
  EXPECT_DOUBLE_EQ(outlook.speed_with(1000), 1);
}

TEST(Outlook, framesForASpeed_areTheFewestThatGiveIt) {
  const Outlook outlook(bent_vm());
  EXPECT_EQ(outlook.frames_for(0.1), 0u);
  EXPECT_EQ(outlook.frames_for(1), 1000u);
  for (const double speed : {0.4, 0.55, 0.6, 0.9}) {
    const std::uint64_t frames = outlook.frames_for(speed);
    EXPECT_GE(outlook.speed_with(frames), speed);
    EXPECT_LT(outlook.speed_with(frames - 1), speed);
  }
}

TEST(Outlook, gains_endAtTheMost) {
  const Outlook outlook(vm_that_reads("a", 400, 400, 400, 400));
  const std::vector<Gain> gains = outlook.gains(200, Goal::kRefaults);
  ASSERT_EQ(gains.size(), 2u);
  EXPECT_EQ(gains[1].frames, 200u);
  EXPECT_DOUBLE_EQ(gains[1].value, 200);
}

TEST(Outlook, nothingBeyondRam_nothingToGain) {
  const Outlook outlook(vm_that_reads("a", 0, 0, 0, 0));
  EXPECT_EQ(outlook.wanted(), 0u);
  EXPECT_EQ(outlook.gains(1000, Goal::kSlowdown).size(), 1u);
  EXPECT_DOUBLE_EQ(outlook.speed_with(0), 1);
  EXPECT_EQ(outlook.frames_for(1), 0u);
}

TEST(Outlook, aWaitThatTheVmCannotTell_isThatOfTheOthers) {
  // b has read nothing back of late but from memory: a says that a read takes two milliseconds.
  VmStatistics a = vm_that_reads("a", 0, 500, 0, 250);
  a.demand.backing_wait_ns *= 2;
  const std::vector<Outlook> both = outlooks_of({1000, {a, vm_that_reads("b", 500, 0, 500, 0)}});
  EXPECT_DOUBLE_EQ(both[0].speed_with(0), 0.5);
  EXPECT_DOUBLE_EQ(both[1].speed_with(0), 0.5);
}

TEST(ReadsSavedByTenth, withoutACurve_everyFrameSavesAsMuch) {
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 400, 400, 400, 400), 200),
              Optional(DoubleNear(20, 1e-9)));
  // Of the tenth, so much as it wants.
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 400, 400, 400, 400), 790),
              Optional(DoubleNear(10, 1e-9)));
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 400, 400, 400, 400), 0),
              Optional(DoubleNear(1, 1e-9)));
}

TEST(ReadsSavedByTenth, allThatItWantsOrNothingIsWanted_none) {
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 400, 400, 400, 400), 800), Optional(0.0));
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 0, 0, 0, 0), 0), Optional(0.0));
  EXPECT_THAT(reads_saved_by_tenth(vm_that_reads("a", 1, 1, 1, 1), UINT64_MAX), Optional(0.0));
}

TEST(ReadsSavedByTenth, withACurve_goesByItsSlopeThere) {
  EXPECT_THAT(reads_saved_by_tenth(bent_vm(), 50), Optional(DoubleNear(30, 1e-9)));
  EXPECT_THAT(reads_saved_by_tenth(bent_vm(), 550), Optional(DoubleNear(55 * 400.0 / 900, 1e-9)));
}

TEST(ReadsSavedByTenth, readsNotKnown_isEmpty) {
  VmStatistics silent = vm_that_reads("a", 400, 400, 400, 400);
  silent.demand.known = false;
  EXPECT_EQ(reads_saved_by_tenth(silent, 200), std::nullopt);
}

}  // namespace
}  // namespace fallow::policy
