#include "base/histogram.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

TEST(Histogram, everyValue_fallsIntoABucketThatBoundsIt) {
  for (std::uint64_t value : {0ull, 1ull, 7ull, 8ull, 9ull, 100ull, 4095ull, 1ull << 40, ~0ull}) {
    const unsigned bucket = Histogram::bucket_of(value);
    ASSERT_LT(bucket, Histogram::kBuckets);
    EXPECT_GE(Histogram::upper_bound(bucket), value);
    if (bucket > 0) {
      EXPECT_LT(Histogram::upper_bound(bucket - 1), value);
    }
  }
}

TEST(Histogram, quantile_isWithinAnEighth) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 10'000; ++value) {
    histogram.add(value);
  }
  const auto snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.total, 10'000u);
  EXPECT_NEAR(static_cast<double>(snapshot.quantile(0.5)), 5000, 5000 / 8.0);
  EXPECT_NEAR(static_cast<double>(snapshot.quantile(0.99)), 9900, 9900 / 8.0);
  EXPECT_EQ(Histogram::Snapshot{}.quantile(0.5), 0u);
}

}  // namespace
}  // namespace fallow
