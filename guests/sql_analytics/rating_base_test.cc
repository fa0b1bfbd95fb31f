#include "sql_analytics/rating_base.h"

#include <gtest/gtest.h>

#include "sql_analytics/options.h"

namespace fallow::guests {

class RatingBaseTest : public testing::Test {
 protected:
  // Two copies and a part of a third.
  RatingBaseTest() : base_(list_, list_.ratings.size() * 5 / 2, 1) { EXPECT_EQ(base_.build(), ""); }
  std::string execute(const std::string& sql) { return base_.database_.execute(sql); }
  std::string ask(const std::string& sql) {
    std::string text;
    EXPECT_EQ(base_.database_.ask(sql, text), "");
    return text;
  }

  const RatingList list_ = generate_ratings(5, {40, 200});
  RatingBase base_;
};

namespace {

std::uint64_t answers(std::uint64_t seed) {
  const RatingList list = generate_ratings(5, {40, 200});
  RatingBase base(list, 2000, seed);
  Answer answer;
  EXPECT_EQ(base.build(), "");
  EXPECT_EQ(base.iterate(answer), "");
  return answer.sum.value();
}

TEST_F(RatingBaseTest, HoldsEveryRatingOfEveryCopy) {
  const std::size_t count = list_.ratings.size();
  EXPECT_EQ(base_.copies(), 3U);
  EXPECT_EQ(ask("select count(*) from ratings"), std::to_string(count * 5 / 2));
  EXPECT_EQ(ask("select count(*) from movies"), std::to_string(3 * list_.movies));
  EXPECT_EQ(ask("select count(distinct user) > 2 * 40 from ratings"), "1");
  double stars = 0;
  for (const Rating& rating : list_.ratings) {
    stars += rating.stars;
  }
  EXPECT_EQ(ask("select sum(stars) from ratings where number <= " + std::to_string(count)),
            std::to_string(static_cast<int>(stars * 100)));
  EXPECT_EQ(ask("select count(*) from ratings where movie not in (select movie from movies)"), "0");
}

TEST_F(RatingBaseTest, SomeRatingsAreOfAMovieInAnotherCopy) {
  const std::string users = std::to_string(list_.users);
  const std::string movies = std::to_string(list_.movies);
  const std::string elsewhere =
      ask("select count(*) from ratings where user / " + users + " <> movie / " + movies);
  EXPECT_GT(std::stoul(elsewhere), list_.ratings.size() * 5 / 2 / 100);
  EXPECT_LT(std::stoul(elsewhere), list_.ratings.size() * 5 / 2 / 20);
}

TEST_F(RatingBaseTest, AnswersTheSameEveryTime) {
  Answer one;
  Answer two;
  ASSERT_EQ(base_.iterate(one), "");
  ASSERT_EQ(base_.iterate(two), "");
  EXPECT_GT(one.rows, list_.movies);
  EXPECT_EQ(one.rows, two.rows);
  EXPECT_EQ(one.sum, two.sum);
  EXPECT_EQ(base_.verify(), "");
}

TEST_F(RatingBaseTest, NoticesARatingThatChanged) {
  Answer answer;
  ASSERT_EQ(base_.iterate(answer), "");
  ASSERT_EQ(execute("update ratings set stars = stars + 1 where number = 77"), "");
  EXPECT_NE(base_.iterate(answer).find("memory came back wrong"), std::string::npos);
  EXPECT_EQ(base_.verify(), "a rating came back from memory other than it was written");
}

TEST_F(RatingBaseTest, NoticesAMissingRatingAndAMovieThatChanged) {
  ASSERT_EQ(execute("update movies set title = title || ' ' where movie = 5"), "");
  EXPECT_EQ(base_.verify(), "a movie came back from memory other than it was written");
  ASSERT_EQ(execute("delete from ratings where number = 1"), "");
  EXPECT_EQ(base_.verify(), "a rating came back from memory other than it was written");
}

TEST(RatingBase, AnswersDependOnTheSeedAndOnNothingElse) {
  EXPECT_EQ(answers(1), answers(1));
  EXPECT_NE(answers(1), answers(2));
}

TEST(RatingBase, BearsOneRating) {
  const RatingList list{1, 1, {{0, 0, 0}}};
  RatingBase base(list, 100, 1);
  Answer answer;
  EXPECT_EQ(base.build(), "");
  EXPECT_EQ(base.iterate(answer), "");
  EXPECT_EQ(base.verify(), "");
  EXPECT_EQ(base.copies(), 100U);
}

TEST(RatingBase, TheLargestListThatIsLoadedLeavesRoom) {
  RatingList list{1, 1, {}};
  list.ratings.resize((kRatingBaseMegabytesMin << 20) / (8 * sizeof(Rating)));
  EXPECT_GT(ratings_in(kRatingBaseMegabytesMin, list), 10'000U);
}

TEST(Database, SaysWhatIsWrong) {
  Database database;
  EXPECT_EQ(database.execute("select a"), "SQLite: no such column: a");
  EXPECT_EQ(database.execute("create table t(a integer unique)"), "");
  Statement insert(database, "insert into t values(?)");
  EXPECT_TRUE(insert.run(std::array<std::int64_t, 1>{7}));
  EXPECT_FALSE(insert.run(std::array<std::int64_t, 1>{7}));
  EXPECT_EQ(insert.error(), "SQLite: UNIQUE constraint failed: t.a");
}

TEST(Database, AnAnswerDependsOnEveryColumn) {
  Database database;
  const auto sum = [&database](const std::string& sql) {
    Answer answer;
    EXPECT_EQ(database.ask(sql, answer), "");
    return answer.sum.value();
  };
  EXPECT_EQ(sum("select 1, 'a', 0.5"), sum("select 1, 'a', 0.5"));
  for (const char* other : {"select 2, 'a', 0.5", "select 1, 'b', 0.5", "select 1, 'a', 0.25",
                            "select 1, 'a', null", "select 1.0, 'a', 0.5"}) {
    EXPECT_NE(sum(other), sum("select 1, 'a', 0.5")) << other;
  }
}

TEST(SqlOptions, RefusesASizeThatIsTooSmall) {
  const std::vector<const char*> arguments = {"--megabytes", "7"};
  EXPECT_EQ(std::get<std::string>(parse_sql_options(arguments)),
            "sql-analytics: --megabytes '7' is not a whole number from 8 to 65536");
}

}  // namespace
}  // namespace fallow::guests
