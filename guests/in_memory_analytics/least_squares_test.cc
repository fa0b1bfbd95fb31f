#include "in_memory_analytics/least_squares.h"

#include <gtest/gtest.h>

#include "in_memory_analytics/options.h"

namespace fallow::guests {
namespace {

const RatingList kList = generate_ratings(5, {40, 200});

TEST(LeastSquares, ComesNearerToTheRatings) {
  const RatingTable table(kList, 2, 1);
  LeastSquares squares(table, 6, 1);
  ASSERT_EQ(squares.iterate(), "");
  const double first = squares.rmse();
  for (int i = 0; i < 9; ++i) {
    ASSERT_EQ(squares.iterate(), "");
  }
  EXPECT_LT(squares.rmse(), first);
  EXPECT_LT(squares.rmse(), 0.6);
  EXPECT_EQ(squares.verify(), "");
}

// Ratings that are products of two numbers are learned with one factor, but for the penalty.
TEST(LeastSquares, FindsAProduct) {
  RatingList list{6, 6, {}};
  for (std::uint32_t user = 0; user < 6; ++user) {
    for (std::uint32_t movie = 0; movie < 6; ++movie) {
      list.ratings.push_back({user, movie, static_cast<float>((user + 1) * (movie + 2)) / 8});
    }
  }
  const RatingTable table(list, 1, 1);
  LeastSquares squares(table, 1, 1);
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(squares.iterate(), "");
  }
  EXPECT_LT(squares.rmse(), 0.15);
}

TEST(LeastSquares, ChecksumIsTheSameForTheSameRatingsAndNotForOthers) {
  const auto checksum = [](std::uint64_t seed) {
    const RatingTable table(kList, 2, seed);
    LeastSquares squares(table, 5, seed);
    EXPECT_EQ(squares.iterate(), "");
    return squares.checksum();
  };
  EXPECT_EQ(checksum(1), checksum(1));
  EXPECT_NE(checksum(1), checksum(2));
}

TEST(LeastSquares, NoticesARatingThatChangedInMemory) {
  const RatingTable table(kList, 2, 1);
  LeastSquares squares(table, 5, 1);
  ASSERT_EQ(squares.iterate(), "");
  const_cast<Opinion&>(table.movies().of(3)[0]).stars += 0.5F;
  EXPECT_NE(squares.verify(), "");
}

TEST(LeastSquares, BearsRatingsOfNothingAndTheMostFactors) {
  const RatingList list{2, 1, {{0, 0, 0}, {1, 0, 0}}};
  const RatingTable table(list, 3, 1);
  for (const std::uint64_t factors : {std::uint64_t{1}, kFactorsMax}) {
    LeastSquares squares(table, factors, 1);
    ASSERT_EQ(squares.iterate(), "");
    ASSERT_EQ(squares.iterate(), "");
    EXPECT_EQ(squares.rmse(), 0);
    EXPECT_EQ(squares.verify(), "");
  }
}

TEST(RatingOptions, RefusesMoreFactorsThanThereIsRoomFor) {
  const std::vector<const char*> arguments = {"--factors", "65"};
  EXPECT_EQ(std::get<std::string>(parse_rating_options(arguments)),
            "in-memory-analytics: --factors '65' is not a whole number from 1 to 64");
}

}  // namespace
}  // namespace fallow::guests
