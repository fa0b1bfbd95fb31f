// The working memory of in-memory-analytics: copies of a list of ratings, once by user and once by
// movie, as alternating least squares wants them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/copies.h"
#include "in_memory_analytics/ratings.h"

namespace fallow::guests {

// A rating as one of its two sides sees it.
struct Opinion {
  std::uint32_t other = 0;  // the movie, or the user
  float stars = 0;
};

// The ratings of each user, or of each movie, one after the other.
class RatingSide {
 public:
  [[nodiscard]] std::uint64_t size() const { return first_.size() - 1; }
  [[nodiscard]] std::uint64_t ratings() const { return opinions_.size(); }
  [[nodiscard]] std::span<const Opinion> of(std::uint64_t number) const {
    return {opinions_.data() + first_[number], first_[number + 1] - first_[number]};
  }
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  friend class RatingTable;
  std::vector<std::uint64_t> first_;
  std::vector<Opinion> opinions_;
};

// With the factors of each user and movie.
Footprint rating_footprint(const RatingList& list, std::uint64_t factors);

class RatingTable {
 public:
  // User u of copy c gets the number c * list.users + u, and movies likewise. One rating in 32, as
  // `seed` has it, is of the same movie in any copy.
  RatingTable(const RatingList& list, std::uint64_t copies, std::uint64_t seed);

  [[nodiscard]] const RatingSide& users() const { return users_; }
  [[nodiscard]] const RatingSide& movies() const { return movies_; }
  // Whether all of it is still what it was when it was built.
  [[nodiscard]] bool intact() const { return fingerprint() == built_; }

 private:
  void fill_users(const RatingList& list, std::uint64_t copies, std::uint64_t seed);
  void fill_movies();
  [[nodiscard]] std::uint64_t fingerprint() const;

  RatingSide users_;
  RatingSide movies_;
  std::uint64_t built_ = 0;
};

}  // namespace fallow::guests
