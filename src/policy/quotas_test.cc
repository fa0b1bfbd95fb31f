#include "policy/quotas.h"

#include <gmock/gmock.h>

#include <numeric>
#include <random>

#include "policy/shares.h"
#include "policy/test_statistics.h"

namespace fallow::policy {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

__extension__ using Wide = unsigned __int128;

// The worked example with quotas for its three VMs.
NodeStatistics example_with(const Quota& a, const Quota& b, const Quota& c) {
  NodeStatistics statistics = example_statistics();
  statistics.vms[0].quota = a;
  statistics.vms[1].quota = b;
  statistics.vms[2].quota = c;
  return statistics;
}

std::vector<Decision> decided(const char* spec, const NodeStatistics& statistics) {
  return (*make_policy(spec))->decide(statistics);
}

std::vector<std::uint64_t> pages_of(const std::vector<Share>& shares) {
  std::vector<std::uint64_t> pages;
  for (const Share& share : shares) {
    pages.push_back(share.pages);
  }
  return pages;
}

Wide sum_of(const std::vector<Decision>& decisions) {
  Wide sum = 0;
  for (const Decision& decision : decisions) {
    sum += decision.target;
  }
  return sum;
}

// The first shares have a page of what is left over.
std::uint64_t equal_share(std::uint64_t total, std::uint64_t count, std::uint64_t i) {
  return total / count + (i < total % count ? 1 : 0);
}

TEST(SharesByWeight, Sum_anyCount_isTotal) {
  for (std::uint64_t count = 1; count <= 20; ++count) {
    std::uint64_t sum = 0;
    for (const Share& share : shares_by_weight(1000, std::vector<Quota>(count))) {
      sum += share.pages;
    }
    EXPECT_EQ(sum, 1000u) << count;
  }
}

TEST(SharesByWeight, DefaultQuotas_areEqualShares) {
  for (std::uint64_t total : {0u, 1u, 7u, 1000u, 1001u}) {
    for (std::uint64_t count = 1; count < 12; ++count) {
      const auto shares = shares_by_weight(total, std::vector<Quota>(count));
      for (std::uint64_t i = 0; i < count; ++i) {
        ASSERT_EQ(shares[i].pages, equal_share(total, count, i));
        ASSERT_EQ(shares[i].words, "equal share of " + std::to_string(total) + " pages");
        ASSERT_EQ(shares[i].note, "");
      }
    }
  }
}

TEST(SharesByWeight, Weights_divideInProportion) {
  const auto shares = shares_by_weight(1000, {{.weight = 100}, {.weight = 300}});
  EXPECT_THAT(pages_of(shares), ElementsAre(250, 750));
  EXPECT_EQ(shares[1].words, "share of 1000 pages by weight 300 of 400");
}

TEST(SharesByWeight, Maximum_givesTheRestToTheOthersByWeight) {
  const auto shares = shares_by_weight(1000, {{.max = 100}, {.weight = 200}, {}});
  EXPECT_THAT(pages_of(shares), ElementsAre(100, 600, 300));
  EXPECT_EQ(shares[0].note, "; lowered to its maximum of 100 pages");
  EXPECT_EQ(shares[1].note, "; +100 pages beyond the maximums of others");
}

TEST(SharesByWeight, MaximumsOfAll_leaveTheRest) {
  EXPECT_THAT(pages_of(shares_by_weight(1000, {{.max = 100}, {.max = 0}, {.max = 450}})),
              ElementsAre(100, 0, 450));
  EXPECT_TRUE(shares_by_weight(1000, {}).empty());
}

TEST(SharesByWeight, RandomQuotas_giveOutAllThatMayBeHad) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20000; ++round) {
    std::vector<Quota> quotas(1 + random() % 8);
    const std::uint64_t total = random() >> (random() % 64);
    Wide may = 0;
    for (Quota& quota : quotas) {
      quota.weight = static_cast<std::uint32_t>(1 + random() % Quota::kWeightMax);
      if (random() % 2 == 0) {
        quota.max = random() % (total / 4 + 1);
      }
      may += quota.max;
    }
    Wide sum = 0;
    const std::vector<Share> shares = shares_by_weight(total, quotas);
    for (std::size_t i = 0; i < quotas.size(); ++i) {
      ASSERT_LE(shares[i].pages, quotas[i].max);
      sum += shares[i].pages;
    }
    ASSERT_TRUE(sum == std::min(Wide{total}, may)) << round;
  }
}

TEST(GrantedMinimums, ThatFit_areAsAsked) {
  EXPECT_THAT(granted_minimums(example_with({.min = 600}, {.min = 400}, {})),
              ElementsAre(600, 400, 0));
}

TEST(GrantedMinimums, ThatDoNotFit_areScaled) {
  EXPECT_THAT(granted_minimums(example_with({.min = 1500}, {.min = 500}, {})),
              ElementsAre(750, 250, 0));
}

TEST(HonourQuotas, Greedy_maximumsAlone_leaveTheOthersEverything) {
  const auto decisions = decided("greedy", example_with({.max = 200}, {}, {}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(200, 1000, 1000));
  EXPECT_THAT(decisions[0].reason, EndsWith("; lowered to its maximum of 200 pages"));
  EXPECT_THAT(decisions[1].reason, EndsWith("all 1000 pages"));
}

// a holds 500, b 100; c has not used its minimum yet. 100 pages are free for all, and the rooms of
// a, b and c beyond what they hold or have reserved are 500, 900 and 700.
TEST(HonourQuotas, Greedy_unfilledMinimum_leavesItsRoom) {
  const auto decisions = decided("greedy", example_with({}, {}, {.min = 300}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(524, 143, 333));
  EXPECT_THAT(decisions[0].reason,
              EndsWith("; lowered to 524 pages, which leaves minimums their room"));
}

TEST(HonourQuotas, Greedy_minimumThatOthersHold_lowersTheirTargetsBelowWhatTheyHold) {
  NodeStatistics statistics = example_with({}, {}, {.min = 400});
  statistics.vms[0].used = 800;
  statistics.vms[1].used = 200;
  statistics.vms[2].used = 0;
  EXPECT_THAT(targets_of(decided("greedy", statistics)), ElementsAre(480, 120, 400));
}

TEST(HonourQuotas, StaticAlloc_minimum_othersMakeRoomAlike) {
  const auto decisions = decided("static-alloc", example_with({.min = 600}, {}, {}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(600, 200, 200));
  EXPECT_EQ(decisions[0].reason,
            "equal share of 1000 pages among 3 VMs; raised to its minimum of 600 pages");
  EXPECT_THAT(decisions[2].reason, HasSubstr("lowered to 200 pages"));
}

TEST(HonourQuotas, StaticAlloc_weights_divide) {
  const auto decisions = decided("static-alloc", example_with({.weight = 300}, {}, {}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(600, 200, 200));
  EXPECT_EQ(decisions[0].reason, "share of 1000 pages by weight 300 of 500 among 3 VMs");
}

TEST(HonourQuotas, ReconfStatic_inactiveVm_hasItsMinimum) {
  const auto decisions = decided("reconf-static", example_with({}, {.min = 300}, {.weight = 7}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(700, 300, 0));
  EXPECT_EQ(decisions[1].reason,
            "no put has failed yet: no share until one does; raised to its minimum of 300 pages");
}

TEST(HonourQuotas, ReconfStatic_activeVms_shareByWeight) {
  NodeStatistics statistics = example_with({.weight = 300}, {}, {});
  statistics.vms[1].cumul_puts_failed = 1;
  EXPECT_THAT(targets_of(decided("reconf-static", statistics)), ElementsAre(750, 250, 0));
}

TEST(HonourQuotas, SmartAlloc_weight_multipliesTheIncrement) {
  NodeStatistics statistics = example_with({.weight = 250}, {}, {});
  statistics.vms[1].target = 300;
  const auto decisions = decided("smart-alloc:P=2,threshold=1000", statistics);
  EXPECT_THAT(targets_of(decisions), ElementsAre(550, 300, 100));
  EXPECT_EQ(decisions[0].reason, "20 puts failed: +50 pages (P=2% of 1000, by weight 250)");
}

TEST(HonourQuotas, SmartAlloc_maximum_takesNothingFromTheOthers) {
  const auto decisions =
      decided("smart-alloc:P=2,threshold=1000", example_with({.max = 500}, {}, {}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(500, 400, 100));
  EXPECT_THAT(decisions[0].reason, EndsWith("; lowered to its maximum of 500 pages"));
}

TEST(HonourQuotas, SmartAlloc_unusedMinimum_isKept) {
  const auto decisions =
      decided("smart-alloc:P=50,threshold=0", example_with({}, {.min = 390}, {}));
  EXPECT_EQ(decisions[1].target, 390u);
  EXPECT_THAT(decisions[1].reason, EndsWith("; raised to its minimum of 390 pages"));
  EXPECT_EQ(sum_of(decisions), 1000u);
}

TEST(HonourQuotas, SmartAlloc_allKeepFailing_targetsConvergeToSharesByWeight) {
  NodeStatistics statistics{.total = 10000, .vms = {}};
  for (const std::uint32_t weight : {100u, 200u, 500u}) {
    statistics.vms.push_back({.id = "vm", .target = 3000, .puts_total = 5});
    statistics.vms.back().quota.weight = weight;
  }
  for (int tick = 0; tick < 500; ++tick) {
    const auto targets = targets_of(decided("smart-alloc", statistics));
    for (std::size_t i = 0; i < targets.size(); ++i) {
      statistics.vms[i].target = statistics.vms[i].used = targets[i];
    }
  }
  EXPECT_NEAR(static_cast<double>(statistics.vms[0].target), 1250, 50);
  EXPECT_NEAR(static_cast<double>(statistics.vms[1].target), 2500, 50);
  EXPECT_NEAR(static_cast<double>(statistics.vms[2].target), 6250, 50);
}

TEST(HonourQuotas, NoTmem_minimum_isNotGiven) {
  EXPECT_THAT(targets_of(decided("no-tmem", example_with({.min = 500}, {}, {}))),
              ElementsAre(0, 0, 0));
}

TEST(HonourQuotas, MinimumsThatDoNotFit_reasonSaysSo) {
  const auto decisions = decided("static-alloc", example_with({.min = 1500}, {.min = 500}, {}));
  EXPECT_THAT(targets_of(decisions), ElementsAre(750, 250, 0));
  EXPECT_THAT(
      decisions[0].reason,
      EndsWith("; raised to 750 pages, its part of minimums that do not fit into the node"));
}

TEST(InitialTargetOf, EachPolicy_isWithinTheQuota) {
  const NodeStatistics statistics = example_with({.min = 400}, {.max = 100}, {.weight = 200});
  const auto initial = [&](const char* spec, std::size_t i) {
    return (*make_policy(spec))->initial_target_of(statistics, i);
  };
  EXPECT_EQ(initial("greedy", 1), 100u);
  EXPECT_EQ(initial("greedy", 2), 1000u);
  EXPECT_EQ(initial("static-alloc", 0), 400u);
  EXPECT_EQ(initial("static-alloc", 2), 500u);
  EXPECT_EQ(initial("smart-alloc", 0), 400u);
  EXPECT_EQ(initial("smart-alloc", 2), 500u);
  EXPECT_EQ(initial("reconf-static", 0), 400u);
  EXPECT_EQ(initial("reconf-static", 2), 0u);
  EXPECT_EQ(initial("no-tmem", 0), 0u);
}

TEST(InitialTargetOf, DefaultQuotas_isTheInitialTarget) {
  for (const PolicyDescription& description : known_policies()) {
    const auto policy = *make_policy(description.name);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(policy->initial_target_of(example_statistics(), i),
                policy->initial_target(1000, 3));
    }
  }
}

// Properties, with random input.

std::uint64_t wild(std::mt19937_64& random, std::uint64_t total) {
  switch (random() % 6) {
    case 0:
      return 0;
    case 1:
      return ~std::uint64_t{0};
    case 2:
      return random() >> (random() % 64);
    default:
      return total == 0 ? 0 : random() % total;
  }
}

Quota wild_quota(std::mt19937_64& random, std::uint64_t total) {
  Quota quota;
  if (random() % 2 == 0) {
    quota.min = random() % 3 == 0 ? wild(random, total) : wild(random, total / 8);
  }
  if (random() % 3 == 0) {
    quota.max = std::max(quota.min, wild(random, total));
  }
  if (random() % 2 == 0) {
    quota.weight = static_cast<std::uint32_t>(1 + random() % Quota::kWeightMax);
  }
  return quota;
}

NodeStatistics wild_statistics(std::mt19937_64& random) {
  NodeStatistics statistics{.total = random() >> (random() % 64), .vms = {}};
  const std::uint64_t total = statistics.total;
  const std::uint64_t count = random() % 10;
  for (std::uint64_t i = 0; i < count; ++i) {
    statistics.vms.push_back({.id = "vm" + std::to_string(i),
                              .target = wild(random, total),
                              .used = wild(random, total),
                              .puts_total = wild(random, total),
                              .puts_succ = wild(random, total),
                              .cumul_puts_failed = wild(random, total),
                              .quota = wild_quota(random, total)});
  }
  return statistics;
}

void expect_honoured(const NodeStatistics& statistics, const std::vector<Decision>& decisions,
                     bool gives_minimums) {
  ASSERT_EQ(decisions.size(), statistics.vms.size());
  const std::vector<std::uint64_t> granted = granted_minimums(statistics);
  Wide asked = 0;
  for (const VmStatistics& vm : statistics.vms) {
    asked += vm.quota.min;
  }
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const Quota& quota = statistics.vms[i].quota;
    ASSERT_LE(decisions[i].target, quota.max);
    if (gives_minimums) {
      ASSERT_GE(decisions[i].target, granted[i]);
      ASSERT_TRUE(asked > statistics.total || granted[i] == quota.min);
    }
  }
  if (asked > 0) {
    ASSERT_LE(sum_of(decisions), statistics.total);
  }
}

// A policy that is added later is held to the same.
TEST(HonourQuotas, EveryPolicyRandomInput_isWithinBoundsAndMinimumsAreGuaranteed) {
  std::mt19937_64 random(5);
  for (const PolicyDescription& description : known_policies()) {
    const auto policy = *make_policy(description.name);
    for (int round = 0; round < 5000; ++round) {
      const NodeStatistics statistics = wild_statistics(random);
      const bool gives = description.name != "no-tmem";
      expect_honoured(statistics, policy->decide(statistics), gives);
      expect_honoured(statistics, policy->start(statistics), gives);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << description.name << ", round " << round;
      }
    }
  }
}

TEST(HonourQuotas, RandomTargetsOfAnyPolicy_reasonTellsEveryChange) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 20000; ++round) {
    const NodeStatistics statistics = wild_statistics(random);
    std::vector<Decision> given;
    for (const VmStatistics& vm : statistics.vms) {
      given.push_back({vm.id, wild(random, statistics.total), "because"});
    }
    const std::vector<Decision> decisions = honour_quotas(statistics, given);
    expect_honoured(statistics, decisions, true);
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << round;
    for (std::size_t i = 0; i < given.size(); ++i) {
      ASSERT_EQ(decisions[i].reason == "because", decisions[i].target == given[i].target);
    }
  }
}

// Whatever VMs do between two decisions, whoever has a minimum can fill it.
TEST(HonourQuotas, GreedyRandomLoads_minimumIsAlwaysToBeHad) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    NodeStatistics statistics{.total = 1000, .vms = {}};
    for (const std::uint64_t min : {0u, 0u, 300u, 200u}) {
      statistics.vms.push_back({.id = "vm", .quota = {.min = min}});
    }
    for (int tick = 0; tick < 50; ++tick) {
      const std::vector<Decision> decisions = decided("greedy", statistics);
      // Each in its turn goes where it likes, as far as its target and the free pages let it.
      for (int step = 0; step < 20; ++step) {
        const std::size_t i = random() % 4;
        VmStatistics& vm = statistics.vms[i];
        std::uint64_t others = 0;
        for (const VmStatistics& other : statistics.vms) {
          others += &other == &vm ? 0 : other.used;
        }
        ASSERT_GE(1000 - others, vm.quota.min);
        const std::uint64_t wanted = random() % 2 == 0 ? random() % 1000 : 1000;
        vm.used = std::min({wanted, decisions[i].target, 1000 - others});
        ASSERT_TRUE(wanted < vm.quota.min || vm.used >= vm.quota.min);
      }
    }
  }
}

TEST(HonourQuotas, DefaultQuotasRandomTargets_nothingChanges) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 1000; ++round) {
    NodeStatistics statistics = wild_statistics(random);
    std::vector<Decision> given;
    for (VmStatistics& vm : statistics.vms) {
      vm.quota = {.weight = vm.quota.weight};
      given.push_back({vm.id, wild(random, statistics.total), "because"});
    }
    const std::vector<Decision> decisions = honour_quotas(statistics, given);
    ASSERT_EQ(targets_of(decisions), targets_of(given));
    for (const Decision& decision : decisions) {
      ASSERT_EQ(decision.reason, "because");
    }
  }
}

}  // namespace
}  // namespace fallow::policy
