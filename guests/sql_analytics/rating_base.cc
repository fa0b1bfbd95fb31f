#include "sql_analytics/rating_base.h"

#include <array>
#include <cmath>

#include "common/copies.h"

namespace fallow::guests {
namespace {

// What a rating takes at the most: its row, its place in two indexes, and its place in what sorts
// for the second of these.
constexpr std::uint64_t kRatingBytes = 95;
constexpr std::uint64_t kMovieBytes = 45;
// SQLite itself, and the room that its allocations leave.
constexpr std::uint64_t kSqliteBytes = std::uint64_t{2} << 20;
constexpr std::uint64_t kLinkOneIn = 32;

constexpr std::array kTables = {
    // Nothing is written to files, and nothing is taken back.
    "pragma journal_mode = off", "pragma temp_store = memory",
    "create table movies(movie integer primary key, title text, genre integer)",
    "create table ratings(number integer primary key, user integer, movie integer, stars integer)"};

constexpr std::array kQuestions = {
    "create index by_movie on ratings(movie, stars desc, user)",
    "select movie, count(*), sum(stars), min(stars), max(stars) from ratings "
    "group by movie order by movie",
    "select m.genre, count(*), sum(r.stars), avg(r.stars) from ratings r "
    "join movies m on m.movie = r.movie group by m.genre order by m.genre",
    "select m.title, r.movie, count(*) as many, sum(r.stars) as stars from ratings r "
    "join movies m on m.movie = r.movie group by r.movie having many >= 3 "
    "order by stars / many desc, many desc, r.movie limit 100",
    "create index by_user on ratings(user, stars)",
    "select user, count(*), sum(stars), avg(stars) from ratings group by user order by user",
    "select a.user, count(*), sum(b.stars) from ratings a join ratings b on b.movie = a.movie "
    "where a.user % 611 = 7 and b.user <> a.user group by a.user order by a.user",
    "select count(*), sum(stars * (number % 97)), sum(user * (number % 89)) from ratings",
    "drop index by_movie",
    "drop index by_user"};

constexpr std::array kKinds = {"Silent", "Golden", "Last",    "Broken", "Hidden", "Long",
                               "Blue",   "Lost",   "Distant", "Bitter", "Second", "Burning"};
constexpr std::array kThings = {"River",    "Voyage",  "Winter",  "Garden",   "Letter",
                                "Stranger", "Harbour", "Promise", "Mountain", "Game"};
constexpr std::uint64_t kGenres = 18;  // as MovieLens has

constexpr const char* kInsertRating = "insert into ratings(user, movie, stars) values(?, ?, ?)";
constexpr const char* kInsertMovie = "insert into movies(movie, genre, title) values(?, ?, ?)";

std::int64_t genre(std::uint64_t movie) {
  return static_cast<std::int64_t>(mix(movie) % kGenres);
}

void add_number(Answer& answer, std::int64_t number) {
  answer.sum.add(SQLITE_INTEGER);
  answer.sum.add(static_cast<std::uint64_t>(number));
}

}  // namespace

std::uint64_t ratings_in(std::uint64_t megabytes, const RatingList& list) {
  const std::uint64_t bytes = megabytes << 20;
  const std::uint64_t fixed = kProgramBytes + kSqliteBytes + list.ratings.size() * sizeof(Rating);
  const std::uint64_t each = kRatingBytes + kMovieBytes * list.movies / list.ratings.size();
  return bytes < fixed ? 0 : (bytes - fixed) / each;
}

RatingBase::RatingBase(const RatingList& list, std::uint64_t count, std::uint64_t seed)
    : list_(list), count_(count), seed_(seed) {}

std::uint64_t RatingBase::copies() const {
  return (count_ + list_.ratings.size() - 1) / list_.ratings.size();
}

RatingBase::Row RatingBase::row(std::uint64_t number) const {
  const std::uint64_t copy = number / list_.ratings.size();
  const Rating& rating = list_.ratings[number % list_.ratings.size()];
  const std::uint64_t chance = mix(seed_, number);
  const std::uint64_t of = chance % kLinkOneIn == 0 ? (chance >> 8) % copies() : copy;
  return {static_cast<std::int64_t>(copy * list_.users + rating.user),
          static_cast<std::int64_t>(of * list_.movies + rating.movie),
          static_cast<std::int64_t>(std::floor(rating.stars * 100.0F + 0.5F))};
}

std::string RatingBase::title(std::uint64_t movie) const {
  const std::uint64_t chance = mix(seed_, movie);
  return std::string("The ") + kKinds[chance % kKinds.size()] + " " +
         kThings[(chance >> 16) % kThings.size()] + " " + std::to_string((chance >> 32) % 1000);
}

std::string RatingBase::build() {
  for (const char* sql : kTables) {
    if (std::string error = database_.execute(sql); !error.empty()) {
      return error;
    }
  }
  std::string error = database_.execute("begin");
  error = error.empty() ? insert_movies() : error;
  error = error.empty() ? insert_ratings() : error;
  return error.empty() ? database_.execute("commit") : error;
}

std::string RatingBase::insert_movies() {
  Statement insert(database_, kInsertMovie);
  for (std::uint64_t movie = 0; movie < movies() && insert.error().empty(); ++movie) {
    const std::array numbers = {static_cast<std::int64_t>(movie), genre(movie)};
    insert.run(numbers, title(movie));
  }
  return insert.error();
}

std::string RatingBase::insert_ratings() {
  Statement insert(database_, kInsertRating);
  for (std::uint64_t number = 0; number < count_ && insert.error().empty(); ++number) {
    const Row made = row(number);
    insert.run(std::array{made.user, made.movie, made.hundredths});
  }
  return insert.error();
}

std::string RatingBase::iterate(Answer& answer) {
  answer = {};
  for (const char* sql : kQuestions) {
    if (std::string error = database_.ask(sql, answer); !error.empty()) {
      return error;
    }
  }
  if (asked_ && (answer.rows != first_.rows || answer.sum != first_.sum)) {
    return "the answers are other than the first time: memory came back wrong";
  }
  first_ = answer;
  asked_ = true;
  return "";
}

std::string RatingBase::verify_ratings() {
  Answer made;
  for (std::uint64_t number = 0; number < count_; ++number) {
    const Row wanted = row(number);
    for (const std::int64_t value : {wanted.user, wanted.movie, wanted.hundredths}) {
      add_number(made, value);
    }
  }
  Answer found;
  std::string error =
      database_.ask("select user, movie, stars from ratings order by number", found);
  if (error.empty() && (found.rows != count_ || found.sum != made.sum)) {
    error = "a rating came back from memory other than it was written";
  }
  return error;
}

std::string RatingBase::verify_movies() {
  Answer made;
  for (std::uint64_t movie = 0; movie < movies(); ++movie) {
    add_number(made, static_cast<std::int64_t>(movie));
    add_number(made, genre(movie));
    made.sum.add(SQLITE_TEXT);
    made.sum.add_text(title(movie));
  }
  Answer found;
  std::string error = database_.ask("select movie, genre, title from movies order by movie", found);
  if (error.empty() && (found.rows != movies() || found.sum != made.sum)) {
    error = "a movie came back from memory other than it was written";
  }
  return error;
}

std::string RatingBase::verify_structure() {
  std::string found;
  std::string error = database_.ask("pragma integrity_check", found);
  if (error.empty() && found != "ok") {
    error = "the database is damaged: " + found.substr(0, found.find('\n'));
  }
  return error;
}

std::string RatingBase::verify() {
  std::string error = verify_structure();
  error = error.empty() ? verify_ratings() : error;
  return error.empty() ? verify_movies() : error;
}

}  // namespace fallow::guests
