#include "in_memory_analytics/rating_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

namespace fallow::guests {
namespace {

const RatingList kList = generate_ratings(5, {20, 300});

using Triple = std::tuple<std::uint64_t, std::uint64_t, float>;

TEST(RatingTable, HoldsTheSameRatingsByUserAndByMovie) {
  const RatingTable table(kList, 4, 1);
  std::vector<Triple> by_user;
  std::vector<Triple> by_movie;
  for (std::uint64_t user = 0; user < table.users().size(); ++user) {
    for (const Opinion& opinion : table.users().of(user)) {
      by_user.emplace_back(user, opinion.other, opinion.stars);
    }
  }
  for (std::uint64_t movie = 0; movie < table.movies().size(); ++movie) {
    for (const Opinion& opinion : table.movies().of(movie)) {
      by_movie.emplace_back(opinion.other, movie, opinion.stars);
    }
  }
  std::sort(by_user.begin(), by_user.end());
  std::sort(by_movie.begin(), by_movie.end());
  EXPECT_EQ(by_user.size(), 4 * kList.ratings.size());
  EXPECT_EQ(by_user, by_movie);
}

TEST(RatingTable, HoldsEachCopyUnderNumbersOfItsOwnButForSomeLinks) {
  const RatingTable table(kList, 4, 1);
  EXPECT_EQ(table.users().size(), 4U * kList.users);
  EXPECT_EQ(table.movies().size(), 4U * kList.movies);
  std::uint64_t across = 0;
  std::uint64_t place = 0;
  for (std::uint64_t user = 0; user < table.users().size(); ++user) {
    for (const Opinion& opinion : table.users().of(user)) {
      const Rating& rating = kList.ratings[place++ % kList.ratings.size()];
      ASSERT_EQ(user % kList.users, rating.user);
      ASSERT_EQ(opinion.other % kList.movies, rating.movie);
      ASSERT_EQ(opinion.stars, rating.stars);
      across += opinion.other / kList.movies != user / kList.users ? 1 : 0;
    }
  }
  EXPECT_GT(across, place / 100);
  EXPECT_LT(across, place / 20);
}

TEST(RatingTable, NoticesARatingThatChanged) {
  const RatingTable table(kList, 2, 1);
  EXPECT_TRUE(table.intact());
  const_cast<Opinion&>(table.movies().of(3)[0]).stars += 0.5F;
  EXPECT_FALSE(table.intact());
}

TEST(RatingTable, FootprintCountsWhatItHolds) {
  const Footprint footprint = rating_footprint(kList, 8);
  EXPECT_EQ(footprint.copy, kList.ratings.size() * 16 + (kList.users + kList.movies) * (8 + 8 * 4));
}

}  // namespace
}  // namespace fallow::guests
