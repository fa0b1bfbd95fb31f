#include "constant_memory_stress/stress.h"

#include <gtest/gtest.h>

#include "constant_memory_stress/options.h"

namespace fallow::guests {

class StressTest : public testing::Test {
 protected:
  StressTest() { stress_.build(); }
  std::span<std::uint64_t, kPageWords> memory(std::uint64_t number) {
    return stress_.block_.page(number);
  }

  Stress stress_{64, 1};
};

namespace {

TEST_F(StressTest, RenewsAndVerifies) {
  const std::uint64_t word = memory(3)[0];
  EXPECT_EQ(stress_.renew(3), "");
  EXPECT_NE(memory(3)[0], word);
  EXPECT_EQ(stress_.renew(3), "");
  EXPECT_EQ(stress_.verify(), "");
}

TEST_F(StressTest, NoticesAWordThatChanged) {
  memory(5)[511] ^= 1;
  EXPECT_EQ(stress_.renew(4), "");
  EXPECT_EQ(stress_.renew(5), "page 5 word 511 came back from memory other than it was written");
  EXPECT_NE(stress_.verify(), "");
}

TEST_F(StressTest, NoticesAPageFromAnEarlierWriteAndOneInAnothersPlace) {
  const std::vector<std::uint64_t> before(memory(7).begin(), memory(7).end());
  EXPECT_EQ(stress_.renew(7), "");
  std::copy(before.begin(), before.end(), memory(7).begin());
  EXPECT_NE(stress_.renew(7), "");
  std::copy(memory(8).begin(), memory(8).end(), memory(9).begin());
  EXPECT_NE(stress_.renew(9), "");
}

TEST(Stress, ChecksumDependsOnWhatWasReadAndInWhichOrder) {
  const auto checksum = [](std::uint64_t one, std::uint64_t two) {
    Stress stress(64, 1);
    stress.build();
    EXPECT_EQ(stress.renew(one), "");
    EXPECT_EQ(stress.renew(two), "");
    return stress.checksum();
  };
  EXPECT_EQ(checksum(1, 2), checksum(1, 2));
  EXPECT_NE(checksum(1, 2), checksum(2, 1));
}

// Of a normal distribution 68.3% are within one standard deviation, and 95.4% within two.
TEST(NormalPages, AreWhereTheDistributionHasThem) {
  constexpr std::uint64_t kPages = 100'000;
  const NormalPages pages(kPages, 40, 10);
  Random random(1);
  int within_one = 0;
  int within_two = 0;
  int below = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t page = pages.next(random);
    within_one += page >= 30'000 && page < 50'000 ? 1 : 0;
    within_two += page >= 20'000 && page < 60'000 ? 1 : 0;
    below += page < 40'000 ? 1 : 0;
  }
  EXPECT_NEAR(within_one, 6827, 200);
  EXPECT_NEAR(within_two, 9545, 100);
  EXPECT_NEAR(below, 5000, 200);
}

TEST(NormalPages, ClipsToTheFirstAndTheLast) {
  Random random(1);
  for (const std::uint64_t mean : {0, 100}) {
    const NormalPages pages(1000, mean, 10);
    int clipped = 0;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t page = pages.next(random);
      ASSERT_LT(page, 1000U);
      clipped += page == (mean == 0 ? 0U : 999U) ? 1 : 0;
    }
    EXPECT_GT(clipped, 400);
  }
  EXPECT_EQ(NormalPages(1, 100, 100).next(random), 0U);
}

TEST(StressOptions, RefusesAMeanWithoutADeviation) {
  const std::vector<const char*> alone = {"--mean", "50"};
  EXPECT_NE(std::get<std::string>(parse_stress_options(alone)).find("--deviation"),
            std::string::npos);
  const std::vector<const char*> both = {"--mean", "0", "--deviation", "5"};
  EXPECT_EQ(std::get<StressOptions>(parse_stress_options(both)).mean, 0U);
  const std::vector<const char*> none = {"--deviation", "0"};
  EXPECT_TRUE(std::holds_alternative<std::string>(parse_stress_options(none)));
}

}  // namespace
}  // namespace fallow::guests
