#include "policy/marginal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

using testing::HasSubstr;

std::uint64_t sum_of(const std::vector<Decision>& decisions) {
  std::uint64_t sum = 0;
  for (const Decision& decision : decisions) {
    sum += decision.target;
  }
  return sum;
}

TEST(Marginal, letsEveryoneHaveAllWhileNobodyIsShort) {
  const auto decisions = Marginal().decide(
      {1000, {vm_that_reads("a", 100, 0, 500, 0), vm_that_reads("b", 0, 0, 0, 0)}});
  EXPECT_EQ(decisions[0].target, 1000u);
  EXPECT_EQ(decisions[1].target, 1000u);
}

TEST(Marginal, givesFramesToThePagesThatAreReadMost) {
  // Each page of b's is read twice as often as a's.
  const auto decisions = Marginal().decide(
      {800, {vm_that_reads("a", 400, 400, 400, 400), vm_that_reads("b", 300, 300, 300, 900)}});
  EXPECT_EQ(decisions[1].target, 600u);
  EXPECT_EQ(decisions[0].target, 200u);
  EXPECT_THAT(decisions[1].reason, HasSubstr("600 pages beyond its RAM, each read 2.00 times of "
                                             "late: it gets all that it wants"));
  EXPECT_THAT(decisions[0].reason, HasSubstr("200 frames, as others' are worth more"));
}

TEST(Marginal, servesOneOfEqualsWholeAndStaysWithIt) {
  const auto first = Marginal().decide(
      {900, {vm_that_reads("a", 450, 350, 450, 350), vm_that_reads("b", 450, 350, 450, 350)}});
  EXPECT_EQ(first[0].target, 800u);
  EXPECT_EQ(first[1].target, 100u);
  // The other one waits, which is not worth moving for while this one works.
  const auto later = Marginal().decide(
      {900, {vm_that_reads("a", 800, 0, 800, 0), vm_that_reads("b", 100, 700, 100, 860)}});
  EXPECT_EQ(later[0].target, 800u);
  const auto much_later = Marginal().decide(
      {900, {vm_that_reads("a", 800, 0, 100, 0), vm_that_reads("b", 100, 700, 100, 860)}});
  EXPECT_EQ(much_later[1].target, 800u);
}

TEST(Marginal, leavesEqualsWhatTheyHaveWhereAllMightHaveAll) {
  NodeStatistics statistics{
      900, {vm_that_reads("a", 100, 700, 450, 350), vm_that_reads("b", 800, 0, 450, 0)}};
  for (VmStatistics& one : statistics.vms) {
    one.target = 900;
  }
  EXPECT_EQ(Marginal().decide(statistics)[1].target, 800u);
}

TEST(Marginal, movesNothingThatIsHeldForALittle) {
  const auto little = Marginal().decide(
      {900, {vm_that_reads("a", 500, 300, 50, 40), vm_that_reads("b", 400, 400, 50, 40)}});
  EXPECT_EQ(little[0].target, 500u);
  EXPECT_EQ(little[1].target, 400u);
  // Both wait nearly always: one of them need not.
  const auto much = Marginal().decide(
      {900, {vm_that_reads("a", 500, 300, 900, 900), vm_that_reads("b", 400, 400, 900, 900)}});
  EXPECT_EQ(much[0].target, 800u);
}

TEST(Marginal, taxesWhatIsNotTouched) {
  const auto decisions = Marginal().decide(
      {1000, {vm_that_reads("idle", 900, 100, 0, 0), vm_that_reads("works", 100, 500, 100, 900)}});
  EXPECT_EQ(decisions[1].target, 600u);
  EXPECT_EQ(decisions[0].target, 400u);
}

TEST(Marginal, leavesAFloorToAll) {
  const auto decisions = Marginal().decide(
      {1600, {vm_that_reads("a", 1600, 400, 9000, 100), vm_that_reads("b", 0, 1000, 0, 100)}});
  EXPECT_EQ(decisions[1].target, 100u);  // an eighth of its equal share
  EXPECT_EQ(decisions[0].target, 1500u);
}

TEST(Marginal, goesByTheCurveWhereItBends) {
  // Half of a's reads are of a tenth of its pages.
  VmStatistics bent = vm_that_reads("a", 0, 1000, 0, 100);
  bent.demand.ram_pages = 500;
  bent.demand.curve = MissRatioCurve({{0, 1.0}, {500, 0.8}, {600, 0.4}, {1500, 0.0}});
  const auto decisions = Marginal().decide({500, {bent, vm_that_reads("b", 0, 1000, 0, 150)}});
  // In thousandths of its speed: a's first 100 gain it 0.47 each, b's all 0.15, a's others 0.06.
  EXPECT_EQ(decisions[0].target, 100u);
  EXPECT_EQ(decisions[1].target, 400u);
}

// Under least recently used nothing would hit until all fits; a memory that keeps what it has does
// not fall off that cliff.
TEST(Marginal, takesACliffForASlope) {
  VmStatistics cliff = vm_that_reads("a", 0, 1000, 0, 100);
  cliff.demand.ram_pages = 500;
  cliff.demand.curve = MissRatioCurve({{0, 1.0}, {1499, 1.0}, {1500, 0.0}});
  const auto decisions = Marginal().decide({500, {cliff, vm_that_reads("b", 0, 1000, 0, 90)}});
  EXPECT_EQ(decisions[0].target + decisions[1].target, 500u);
  EXPECT_GT(decisions[0].target, 450u);
}

// Half of what it wants would make it twice as fast, which is next to nothing.
TEST(Marginal, servesWholeWhoWaitsForADiskAndNotWhomNothingHelps) {
  const auto decisions = Marginal().decide(
      {1000,
       {vm_that_reads("thrasher", 500, 3500, 400, 950), vm_that_reads("b", 250, 250, 250, 500),
        vm_that_reads("c", 250, 250, 250, 500)}});
  EXPECT_EQ(decisions[1].target, 500u);
  EXPECT_EQ(decisions[2].target, 459u);  // but for the floor
  EXPECT_EQ(decisions[0].target, 41u);
}

TEST(Marginal, countsReadsWhereThatIsTheGoal) {
  // a waits little, as it has more to do; b's reads are fewer for each frame.
  const NodeStatistics statistics{
      400, {vm_that_reads("a", 0, 400, 300, 300), vm_that_reads("b", 0, 400, 0, 500)}};
  EXPECT_GT(Marginal().decide(statistics)[1].target, 300u);
  EXPECT_GT(Marginal(Goal::kRefaults).decide(statistics)[0].target, 300u);
}

TEST(Marginal, helpsTheSlowestWhereThatIsTheGoal) {
  const Marginal worst(Goal::kWorstSlowdown);
  const auto equals = worst.decide(
      {900, {vm_that_reads("a", 450, 350, 450, 350), vm_that_reads("b", 450, 350, 450, 350)}});
  EXPECT_EQ(equals[0].target, 450u);
  EXPECT_EQ(equals[1].target, 450u);
  // b waits four times as long for all that it reads.
  const auto unequal =
      worst.decide({900, {vm_that_reads("a", 0, 800, 0, 200), vm_that_reads("b", 0, 800, 0, 800)}});
  EXPECT_LT(unequal[0].target, 250u);
  EXPECT_GT(unequal[1].target, 650u);
}

TEST(Marginal, saysItsGoal) {
  for (const char* spec : {"marginal", "marginal:goal=worst", "marginal:goal=refaults"}) {
    EXPECT_EQ((*make_policy(spec))->spec(), spec);
  }
  EXPECT_EQ((*make_policy("marginal:goal=slowdown"))->spec(), "marginal");
  EXPECT_THAT(make_policy("marginal:goal=speed").error().text,
              HasSubstr("goal must be slowdown, worst or refaults, not 'speed'"));
}

TEST(Marginal, fallsBackOnSmartAllocAndSaysSo) {
  VmStatistics failing = vm_that_reads("a", 100, 0, 0, 0);
  failing.puts_total = 10;
  const auto thin = Marginal().decide({1000, {failing, vm_that_reads("b", 100, 10, 3, 0)}});
  EXPECT_EQ(thin[0].target, 200u);
  EXPECT_THAT(thin[0].reason, HasSubstr("too few reads so far to judge by, so as smart-alloc: 10 "
                                        "puts failed"));
  VmStatistics silent = vm_that_reads("c", 100, 10, 0, 0);
  silent.demand.known = false;
  const auto stale = Marginal().decide({1000, {vm_that_reads("a", 100, 100, 500, 500), silent}});
  EXPECT_THAT(stale[0].reason, HasSubstr("not every VM's reads are known"));
}

TEST(Marginal, neverGivesOutMoreThanThereIsNorLess) {
  std::mt19937 random(5);
  const auto up_to = [&](std::uint64_t most) { return random() % (most + 1); };
  for (int round = 0; round < 2000; ++round) {
    NodeStatistics statistics{.total = 1 + up_to(5000), .vms = {}};
    const std::uint64_t count = 1 + up_to(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      VmStatistics one =
          vm_that_reads("vm" + std::to_string(i), up_to(statistics.total / count), up_to(3000),
                        static_cast<double>(up_to(1000)), static_cast<double>(up_to(1000)));
      one.target = up_to(statistics.total);
      if (up_to(1) == 1) {
        one.demand.ram_pages = up_to(2000);
        const std::uint64_t knee = 1 + up_to(3000);
        one.demand.curve = MissRatioCurve({{0, 1.0}, {knee, 0.5}, {knee + 1 + up_to(3000), 0.1}});
      }
      statistics.vms.push_back(one);
    }
    statistics.vms[0].demand.backing_pages += 1;
    statistics.vms[0].demand.backing_reads += Outlook::kReadsLeast;
    constexpr Goal kGoals[] = {Goal::kSlowdown, Goal::kRefaults, Goal::kWorstSlowdown};
    const auto decisions = Marginal(kGoals[round % 3]).decide(statistics);
    ASSERT_EQ(decisions.size(), count);
    ASSERT_LE(sum_of(decisions), statistics.total);
    ASSERT_GT(sum_of(decisions) + count, statistics.total);
  }
}

}  // namespace
}  // namespace fallow::policy
