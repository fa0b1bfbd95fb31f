#include "in_memory_analytics/ratings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "common/mix.h"
#include "common/test_file.h"

namespace fallow::guests {
namespace {

constexpr const char* kHeader = "userId,movieId,rating,timestamp\n";

std::variant<RatingList, std::string> load(const std::string& rows) {
  return load_ratings(TestFile(kHeader + rows).path(), 1000);
}

TEST(Ratings, LoadRenumbersAndOrdersByUser) {
  const auto list = std::get<RatingList>(load("900,7,4.5,1\n3,4294967295,0.5,2\n3,7,5,3\n"));
  EXPECT_EQ(list.users, 2U);
  EXPECT_EQ(list.movies, 2U);
  EXPECT_EQ(list.ratings, (std::vector<Rating>{{0, 1, 0.5}, {0, 0, 5}, {1, 0, 4.5}}));
}

TEST(Ratings, LoadRefusesWhatIsNotARating) {
  for (const char* row : {"1,2,3.0", "1,2,3.0,4,5", "-1,2,3.0,4", "1,-2,3.0,4",
                          "1,4294967296,3.0,4", "1,2,11,4", "1,2,-0.5,4", "1,2,nan,4", "1,2,inf,4",
                          "1,2,3.0x,4", "1,2,3.0,now", "1,2,,4", "1,2,1e99,4", "hello"}) {
    const auto loaded = load(row);
    ASSERT_TRUE(std::holds_alternative<std::string>(loaded)) << row;
    EXPECT_NE(std::get<std::string>(loaded).find("line 2: '" + std::string(row) + "' is not"),
              std::string::npos)
        << std::get<std::string>(loaded);
  }
}

TEST(Ratings, LoadRefusesAnotherHeader) {
  const auto loaded = load_ratings(TestFile("1,2,3.0,4\n").path(), 1000);
  EXPECT_TRUE(std::holds_alternative<std::string>(loaded));
}

TEST(Ratings, GenerateHasTheShapeOfMovieLens) {
  const RatingList list = generate_ratings(1);
  EXPECT_EQ(list.users, 610U);
  EXPECT_GT(list.movies, 9000U);
  EXPECT_NEAR(static_cast<double>(list.ratings.size()), 100'836, 20'000);
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (const Rating& rating : list.ratings) {
    EXPECT_TRUE(seen.emplace(rating.user, rating.movie).second);
    EXPECT_TRUE(rating.stars >= 0.5 && rating.stars <= 5 && rating.movie < list.movies);
  }
}

// The numbers are those of any machine: what depends on them can be compared between machines.
TEST(Ratings, GenerateIsTheSameEverywhereAndDependsOnTheSeed) {
  const auto fingerprint = [](std::uint64_t seed) {
    Fingerprint sum;
    for (const Rating& rating : generate_ratings(seed, {20, 300}).ratings) {
      sum.add(std::uint64_t{rating.user} << 32 | rating.movie);
      sum.add(std::bit_cast<std::uint32_t>(rating.stars));
    }
    return sum.value();
  };
  EXPECT_EQ(fingerprint(1), 9682864176887863535U);
  EXPECT_NE(fingerprint(2), fingerprint(1));
}

}  // namespace
}  // namespace fallow::guests
