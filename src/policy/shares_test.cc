#include "policy/shares.h"

#include <gmock/gmock.h>

#include <limits>
#include <numeric>
#include <random>

namespace fallow::policy {
namespace {

using testing::ElementsAre;

TEST(ScaleToTotal, Remainders_largestFirst) {
  EXPECT_THAT(scale_to_total({520, 392, 100}, 1000), ElementsAre(514, 387, 99));
}

TEST(ScaleToTotal, EqualRemainders_firstInOrder) {
  EXPECT_THAT(scale_to_total({7, 7, 7}, 20), ElementsAre(7, 7, 6));
}

TEST(ScaleToTotal, TotalZero_allZero) {
  EXPECT_THAT(scale_to_total({3, 4}, 0), ElementsAre(0, 0));
}

TEST(ScaleToTotal, LargestNumbers_noOverflow) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_THAT(scale_to_total({kMax, kMax, kMax}, kMax), ElementsAre(kMax / 3, kMax / 3, kMax / 3));
}

TEST(ScaleToTotal, RandomTargets_sumIsTotalAndEachWithinAPageOfItsShare) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::uint64_t> targets(1 + random() % 12);
    for (std::uint64_t& target : targets) {
      target = random() >> (random() % 64);
    }
    targets[0] |= 1;
    const std::uint64_t total = random() >> (random() % 64);
    const std::vector<std::uint64_t> scaled = scale_to_total(targets, total);
    ASSERT_EQ(std::accumulate(scaled.begin(), scaled.end(), std::uint64_t{0}), total);
    const long double sum = std::accumulate(targets.begin(), targets.end(), 0.0L);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const long double share = static_cast<long double>(total) * targets[i] / sum;
      // The long double itself is off by some pages once it has no bits left for them.
      ASSERT_NEAR(static_cast<double>(scaled[i] - share), 0,
                  1.0 + static_cast<double>(share) * 1e-15);
    }
  }
}

}  // namespace
}  // namespace fallow::policy
