#include "policy/miss_ratio_curve.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <random>

namespace fallow::policy {
namespace {

using testing::ElementsAre;
using testing::Optional;
using Trace = std::vector<std::uint64_t>;
using Point = MissRatioCurve::Point;

constexpr double kErrorMax = 0.02;

// Page numbers below `pages`, the first ones the most popular.
class Zipf {
 public:
  Zipf(std::size_t pages, double exponent) : sums_(pages) {
    double sum = 0;
    for (std::size_t i = 0; i < pages; ++i) {
      sum += std::pow(static_cast<double>(i + 1), -exponent);
      sums_[i] = sum;
    }
  }
  std::uint64_t operator()(std::mt19937_64& random) {
    const double at = std::uniform_real_distribution(0.0, sums_.back())(random);
    return static_cast<std::uint64_t>(std::lower_bound(sums_.begin(), sums_.end(), at) -
                                      sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

Trace zipf(std::size_t references, std::size_t pages, double exponent = 0.9) {
  std::mt19937_64 random(1);
  Zipf draw(pages, exponent);
  Trace trace(references);
  std::generate(trace.begin(), trace.end(), [&] { return draw(random); });
  return trace;
}

Trace loop(std::size_t references, std::size_t pages, std::uint64_t first = 0) {
  Trace trace(references);
  for (std::size_t i = 0; i < references; ++i) {
    trace[i] = first + i % pages;
  }
  return trace;
}

// A popular part, a loop and a scan, taking turns of some references each.
Trace mixed(std::size_t references) {
  const Trace popular = zipf(references, 60'000);
  std::mt19937_64 random(2);
  Trace trace;
  std::uint64_t looped = 0;
  std::uint64_t scanned = 1ULL << 40;
  while (trace.size() < references) {
    const auto kind = random() % 10;
    for (unsigned i = 0; i < 64; ++i) {
      trace.push_back(kind < 6   ? popular[trace.size() % references]
                      : kind < 9 ? (1U << 30) + looped++ % 50'000
                                 : scanned++);
    }
  }
  return trace;
}

MissRatioEstimator estimator_of(const Trace& trace,
                                const MissRatioEstimator::Options& options = {}) {
  MissRatioEstimator estimator(options);
  for (const std::uint64_t page : trace) {
    estimator.reference(page);
  }
  return estimator;
}

double error_of(const Trace& trace, std::uint64_t seed = 1) {
  return mean_absolute_error(estimator_of(trace, {.seed = seed}).curve(),
                             exact_miss_ratio_curve(trace));
}

std::uint64_t distinct(Trace trace) {
  std::sort(trace.begin(), trace.end());
  return static_cast<std::uint64_t>(std::unique(trace.begin(), trace.end()) - trace.begin());
}

// What a real list of pages does.
double simulated_miss_ratio(const Trace& trace, std::size_t size) {
  std::list<std::uint64_t> pages;
  std::size_t misses = 0;
  for (const std::uint64_t page : trace) {
    const auto found = std::find(pages.begin(), pages.end(), page);
    if (found != pages.end()) {
      pages.erase(found);
    } else {
      ++misses;
      if (pages.size() == size) {
        pages.pop_back();
      }
    }
    pages.push_front(page);
  }
  return static_cast<double>(misses) / static_cast<double>(trace.size());
}

TEST(MissRatioCurve, MissRatioAt_betweenAndBeyondThePoints) {
  const MissRatioCurve curve({{10, 1.0}, {20, 0.5}, {40, 0.1}});
  EXPECT_EQ(curve.miss_ratio_at(0), 1.0);
  EXPECT_EQ(curve.miss_ratio_at(10), 1.0);
  EXPECT_DOUBLE_EQ(curve.miss_ratio_at(15), 0.75);
  EXPECT_DOUBLE_EQ(curve.miss_ratio_at(30), 0.3);
  EXPECT_EQ(curve.miss_ratio_at(1000), 0.1);
}

TEST(MissRatioCurve, PagesFor_isTheInverse) {
  const MissRatioCurve curve({{10, 1.0}, {20, 0.5}, {30, 0.5}, {40, 0.1}});
  EXPECT_THAT(curve.pages_for(1.0), Optional(10u));
  EXPECT_THAT(curve.pages_for(0.75), Optional(15u));
  EXPECT_THAT(curve.pages_for(0.5), Optional(20u));
  EXPECT_THAT(curve.pages_for(0.1), Optional(40u));
  EXPECT_EQ(curve.pages_for(0.05), std::nullopt);
}

TEST(MissRatioCurve, NothingKnown_everythingMisses) {
  EXPECT_EQ(MissRatioCurve().miss_ratio_at(1'000'000), 1.0);
  EXPECT_EQ(MissRatioEstimator({}).curve().miss_ratio_at(1'000'000), 1.0);
  EXPECT_EQ(exact_miss_ratio_curve({}).miss_ratio_at(1), 1.0);
}

TEST(MissRatioCurve, Reduced_keepsTheStepsOfTheCurve) {
  const MissRatioCurve curve = exact_miss_ratio_curve(loop(10'000, 1000));
  const double first_references = curve.points().back().miss_ratio;
  EXPECT_NEAR(first_references, 0.1, 1e-9);
  EXPECT_THAT(curve.reduced(16).points(),
              ElementsAre(Point{0, 1.0}, Point{999, 1.0}, Point{1000, first_references}));
}

TEST(MissRatioCurve, Reduced_sixteenPointsSayWhatAllSay) {
  const MissRatioCurve curve = exact_miss_ratio_curve(mixed(200'000));
  const MissRatioCurve reduced = curve.reduced(16);
  EXPECT_GT(curve.points().size(), 1000u);
  EXPECT_EQ(reduced.points().size(), 16u);
  EXPECT_LT(mean_absolute_error(curve, reduced), 0.01);
}

TEST(ExactMissRatioCurve, SmallTraces_asARealList) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    Trace trace(1 + random() % 300);
    const std::uint64_t pages = 1 + random() % 40;
    std::generate(trace.begin(), trace.end(), [&] { return random() % pages * (1ULL << 50); });
    const MissRatioCurve curve = exact_miss_ratio_curve(trace);
    for (std::size_t size = 1; size <= 45; ++size) {
      ASSERT_NEAR(curve.miss_ratio_at(size), simulated_miss_ratio(trace, size), 1e-9) << size;
    }
  }
}

TEST(MissRatioEstimator, FewPages_isExactWithinABucket) {
  const Trace trace = zipf(50'000, 5000);
  EXPECT_LT(error_of(trace), 0.002);
  EXPECT_EQ(estimator_of(trace).working_set_pages(), distinct(trace));
}

TEST(MissRatioEstimator, Zipf_closeToExact) {
  for (const double exponent : {0.6, 0.9, 1.2}) {
    const Trace trace = zipf(1'000'000, 300'000, exponent);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      EXPECT_LT(error_of(trace, seed), kErrorMax) << exponent << ' ' << seed;
    }
  }
}

TEST(MissRatioEstimator, Loop_closeToExact) {
  for (const std::size_t pages : {std::size_t{1000}, std::size_t{20'000}, std::size_t{200'000}}) {
    EXPECT_LT(error_of(loop(1'000'000, pages)), kErrorMax) << pages;
  }
}

TEST(MissRatioEstimator, Scan_everythingMisses) {
  const Trace trace = loop(500'000, 500'000);
  for (const std::uint64_t pages : {1u, 1000u, 400'000u}) {
    EXPECT_NEAR(estimator_of(trace).curve().miss_ratio_at(pages), 1.0, kErrorMax);
  }
}

TEST(MissRatioEstimator, Mixed_closeToExact) {
  const Trace trace = mixed(1'000'000);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_LT(error_of(trace, seed), kErrorMax) << seed;
  }
}

TEST(MissRatioEstimator, WorkingSet_aboutTheDistinctPages) {
  for (const Trace& trace : {loop(600'000, 200'000), mixed(600'000), zipf(600'000, 300'000)}) {
    const auto pages = static_cast<double>(distinct(trace));
    const auto estimate = static_cast<double>(estimator_of(trace, {.seed = 5}).working_set_pages());
    EXPECT_NEAR(estimate / pages, 1.0, 0.05);
  }
}

// A large loop and then a small popular part. Old counts fade, and old pages are forgotten, so that
// the sample grows again.
TEST(MissRatioEstimator, PhaseChange_followsWithAge) {
  MissRatioEstimator estimator({.seed = 1, .window_ages = 8});
  const auto feed = [&](const Trace& trace) {
    for (std::size_t i = 0; i < trace.size(); ++i) {
      estimator.reference(trace[i]);
      if (i % 20'000 == 19'999) {
        estimator.age(0.8);
      }
    }
  };
  const Trace first = loop(500'000, 400'000);
  feed(first);
  const double rate = estimator.sampling_rate();
  EXPECT_LT(rate, 0.1);
  const Trace second = zipf(1'000'000, 20'000);
  feed(second);
  EXPECT_GT(estimator.sampling_rate(), 4 * rate);
  // What the second phase is like when it has gone on for some time.
  const Trace twice = [&] {
    Trace both = second;
    both.insert(both.end(), second.begin(), second.end());
    return both;
  }();
  EXPECT_LT(mean_absolute_error(estimator.curve(), exact_miss_ratio_curve(twice)), kErrorMax);
  EXPECT_LT(estimator.working_set_pages(), 20'500u);
}

// With the same pages before and after, a rise of the threshold changes nothing but the precision.
TEST(MissRatioEstimator, ThresholdRises_curveAndWorkingSetStayRight) {
  MissRatioEstimator estimator({.seed = 1, .window_ages = 4});
  for (const std::uint64_t page : loop(300'000, 300'000, 1ULL << 40)) {
    estimator.reference(page);
  }
  const Trace trace = loop(60'000, 30'000);
  for (int age = 0; age < 12; ++age) {
    for (const std::uint64_t page : trace) {
      estimator.reference(page);
    }
    estimator.age(0.5);
    if (age >= 8) {
      EXPECT_GT(estimator.curve().miss_ratio_at(27'000), 0.9) << age;
      EXPECT_LT(estimator.curve().miss_ratio_at(33'000), 0.1) << age;
      EXPECT_NEAR(static_cast<double>(estimator.working_set_pages()), 30'000, 3000) << age;
    }
  }
}

TEST(MissRatioEstimator, Age_toNothing_forgetsTheCounts) {
  MissRatioEstimator estimator = estimator_of(zipf(100'000, 1000));
  estimator.age(0);
  EXPECT_EQ(estimator.references(), 0);
  EXPECT_EQ(estimator.curve().points(), MissRatioCurve().points());
}

TEST(MissRatioEstimator, Idle_forgetsThePages) {
  MissRatioEstimator estimator = estimator_of(loop(300'000, 300'000), {.window_ages = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_GT(estimator.working_set_pages(), 280'000u);
    estimator.age(0.9);
  }
  EXPECT_EQ(estimator.working_set_pages(), 0u);
  EXPECT_EQ(estimator.samples(), 0u);
}

TEST(MissRatioEstimator, Memory_staysWhatItWas) {
  for (const std::uint32_t samples : {16u, 100u, 8192u}) {
    MissRatioEstimator estimator({.samples_max = samples});
    const std::size_t bytes = estimator.memory_bytes();
    std::mt19937_64 random(4);
    for (int i = 0; i < 1'000'000; ++i) {
      estimator.reference(random() >> (random() % 64));
      if (i % 100'000 == 0) {
        estimator.age(0.5);
      }
      ASSERT_LE(estimator.samples(), samples);
    }
    EXPECT_EQ(estimator.memory_bytes(), bytes);
    EXPECT_LE(estimator.curve().points().size(), MissRatioEstimator::kCurvePointsMax);
  }
}

TEST(MissRatioEstimator, OnePage_fitsIntoOnePage) {
  const MissRatioEstimator estimator = estimator_of(Trace(1000, 42));
  EXPECT_NEAR(estimator.curve().miss_ratio_at(1), 0.001, 1e-9);
  EXPECT_EQ(estimator.working_set_pages(), 1u);
}

}  // namespace
}  // namespace fallow::policy
