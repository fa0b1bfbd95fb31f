// The database of sql-analytics: copies of a list of ratings, the movies that they are of, and
// what is asked about them.
#pragma once

#include <cstdint>
#include <string>

#include "in_memory_analytics/ratings.h"
#include "sql_analytics/database.h"

namespace fallow::guests {

// As many ratings as take that much memory with their indexes, while the larger of these is built;
// 0 when not one does.
std::uint64_t ratings_in(std::uint64_t megabytes, const RatingList& list);
inline constexpr std::uint64_t kRatingBaseMegabytesMin = 8;

class RatingBase {
 public:
  // Rating i is the list's i % n in copy i / n: user u of copy c gets the number c * list.users +
  // u, and movies likewise. One in 32, as `seed` has it, is of the same movie in any copy. `list`
  // must outlive it.
  RatingBase(const RatingList& list, std::uint64_t count, std::uint64_t seed);

  // Each: "", or what is wrong.
  std::string build();
  // Builds the indexes, asks all questions, drops the indexes. Answers other than the first time
  // prove that memory came back wrong.
  std::string iterate(Answer& answer);
  // Whether all ratings and movies are what they were, and the database's structure holds.
  std::string verify();

  [[nodiscard]] std::uint64_t copies() const;
  [[nodiscard]] std::uint64_t movies() const { return copies() * list_.movies; }

 private:
  struct Row {
    std::int64_t user = 0;
    std::int64_t movie = 0;
    std::int64_t hundredths = 0;  // of a star: sums of whole numbers are the same in any order
  };
  [[nodiscard]] Row row(std::uint64_t number) const;
  [[nodiscard]] std::string title(std::uint64_t movie) const;
  std::string insert_ratings();
  std::string insert_movies();
  std::string verify_ratings();
  std::string verify_movies();
  std::string verify_structure();

  const RatingList& list_;
  const std::uint64_t count_;
  const std::uint64_t seed_;
  Database database_;
  Answer first_;
  bool asked_ = false;

  friend class RatingBaseTest;
};

}  // namespace fallow::guests
