#include "policy/smart_alloc.h"

#include <gmock/gmock.h>

#include <limits>
#include <random>

#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kPercent = SmartAllocSettings::kPercent;

SmartAlloc smart(std::uint64_t p_micro_percent, std::uint64_t threshold) {
  return SmartAlloc({.p_micro_percent = p_micro_percent, .threshold = threshold});
}

std::vector<Decision> decide_one(const SmartAlloc& policy, const VmStatistics& vm,
                                 std::uint64_t total) {
  return policy.decide({.total = total, .vms = {vm}});
}

TEST(SmartAlloc, Decide_workedExample_scalesToTotal) {
  EXPECT_THAT(targets_of(smart(2 * kPercent, 50).decide(example_statistics())),
              ElementsAre(514, 387, 99));
}

TEST(SmartAlloc, Decide_workedExample_reasonsHaveFigures) {
  const auto decisions = smart(2 * kPercent, 50).decide(example_statistics());
  EXPECT_EQ(decisions[0].reason,
            "20 puts failed: +20 pages (P=2% of 1000); all targets scaled by 1000/1012");
  EXPECT_THAT(decisions[1].reason, HasSubstr("300 of 400 pages unused"));
  EXPECT_THAT(decisions[1].reason, HasSubstr("-8 pages (P=2%)"));
  EXPECT_THAT(decisions[2].reason, HasSubstr("10 pages unused, no more than the threshold of 50"));
}

TEST(SmartAlloc, Decide_sumWithinTotal_notScaled) {
  NodeStatistics statistics = example_statistics();
  statistics.vms.pop_back();
  EXPECT_THAT(targets_of(smart(2 * kPercent, 50).decide(statistics)), ElementsAre(520, 392));
}

TEST(SmartAlloc, Decide_unusedEqualToThreshold_keepsTarget) {
  const VmStatistics vm{.id = "a", .target = 100, .used = 50};
  EXPECT_EQ(decide_one(smart(2 * kPercent, 50), vm, 1000)[0].target, 100u);
  EXPECT_EQ(decide_one(smart(2 * kPercent, 49), vm, 1000)[0].target, 98u);
}

TEST(SmartAlloc, Decide_usedOverTarget_keepsTarget) {
  const VmStatistics vm{.id = "a", .target = 100, .used = 500};
  EXPECT_EQ(decide_one(smart(2 * kPercent, 0), vm, 1000)[0].target, 100u);
}

TEST(SmartAlloc, Decide_incrementBelowAPage_isAPage) {
  const VmStatistics vm{.id = "a", .target = 5, .used = 5, .puts_total = 1};
  EXPECT_EQ(decide_one(smart(2 * kPercent, 0), vm, 10)[0].target, 6u);
}

TEST(SmartAlloc, Decide_decimalP_isExact) {
  const VmStatistics vm{.id = "a", .target = 0, .used = 0, .puts_total = 1};
  const auto p = parse_percent("0.3");
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(decide_one(smart(*p, 0), vm, 1000)[0].target, 3u);
}

TEST(SmartAlloc, Decide_pOfHundred_growsByTheNodeAndShrinksToNothing) {
  NodeStatistics statistics = example_statistics();
  statistics.vms[0].target = 0;
  EXPECT_THAT(targets_of(smart(100 * kPercent, 50).decide(statistics)), ElementsAre(909, 0, 91));
}

TEST(SmartAlloc, Decide_succeededMoreThanIssued_countsAsNoneFailed) {
  const VmStatistics vm{.id = "a", .target = 10, .used = 10, .puts_total = 1, .puts_succ = 5};
  EXPECT_EQ(decide_one(smart(2 * kPercent, 0), vm, 1000)[0].target, 10u);
}

TEST(SmartAlloc, Decide_noVms_nothing) {
  EXPECT_TRUE(smart(2 * kPercent, 0).decide({.total = 1000, .vms = {}}).empty());
}

TEST(SmartAlloc, Decide_totalZero_allZero) {
  NodeStatistics statistics = example_statistics();
  statistics.total = 0;
  EXPECT_THAT(targets_of(smart(2 * kPercent, 50).decide(statistics)), ElementsAre(0, 0, 0));
}

std::uint64_t wild(std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
      return 0;
    case 1:
      return std::numeric_limits<std::uint64_t>::max();
    case 2:
      return std::uint64_t{1} << 60;
    default:
      return random() >> (random() % 64);
  }
}

NodeStatistics wild_statistics(std::mt19937_64& random) {
  NodeStatistics statistics{.total = wild(random), .vms = {}};
  const std::uint64_t count = random() % 10;
  for (std::uint64_t i = 0; i < count; ++i) {
    statistics.vms.push_back({.id = "vm" + std::to_string(i),
                              .target = wild(random),
                              .used = wild(random),
                              .puts_total = wild(random),
                              .puts_succ = wild(random),
                              .cumul_puts_failed = wild(random)});
  }
  return statistics;
}

TEST(SmartAlloc, Decide_hostileNumbers_sumNeverOverTotal) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20000; ++round) {
    const SmartAlloc policy = smart(1 + random() % (100 * kPercent), wild(random));
    const NodeStatistics statistics = wild_statistics(random);
    const std::vector<Decision> decisions = policy.decide(statistics);
    ASSERT_EQ(decisions.size(), statistics.vms.size());
    std::uint64_t left = statistics.total;
    for (const Decision& decision : decisions) {
      ASSERT_LE(decision.target, left);
      left -= decision.target;
    }
  }
}

TEST(SmartAlloc, Decide_allKeepFailing_targetsConvergeToEqualShares) {
  NodeStatistics statistics{.total = 1000, .vms = {}};
  for (const std::uint64_t target : {1000u, 0u, 0u, 0u}) {
    statistics.vms.push_back({.id = "vm", .target = target, .used = target, .puts_total = 5});
  }
  for (int tick = 0; tick < 300; ++tick) {
    const auto targets = targets_of(smart(2 * kPercent, 50).decide(statistics));
    for (std::size_t i = 0; i < targets.size(); ++i) {
      statistics.vms[i].target = statistics.vms[i].used = targets[i];
    }
  }
  for (const VmStatistics& vm : statistics.vms) {
    EXPECT_NEAR(static_cast<double>(vm.target), 250, 25);
  }
}

TEST(SmartAlloc, Start_unusedTargets_areNotShrunk) {
  NodeStatistics statistics = example_statistics();
  EXPECT_THAT(targets_of(smart(2 * kPercent, 50).start(statistics)), ElementsAre(500, 400, 100));
  statistics.vms[2].target = 350;
  EXPECT_THAT(targets_of(smart(2 * kPercent, 50).start(statistics)), ElementsAre(400, 320, 280));
}

TEST(SmartAlloc, InitialTarget_threeVms_isAThird) {
  EXPECT_EQ(smart(2 * kPercent, 50).initial_target(1000, 3), 333u);
}

TEST(ParsePercent, OutsideRange_refused) {
  for (const char* text :
       {"0", "-1", "100.5", "100.0000001", "", "x", "2%", "nan", "inf", "1e400", "0.0000001"}) {
    EXPECT_FALSE(parse_percent(text).ok()) << text;
  }
}

TEST(ParsePercent, WithinRange_inMillionths) {
  EXPECT_EQ(*parse_percent("100"), 100 * kPercent);
  EXPECT_EQ(*parse_percent("0.75"), 750'000u);
}

}  // namespace
}  // namespace fallow::policy
