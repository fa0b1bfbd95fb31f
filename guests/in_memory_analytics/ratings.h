// The ratings that are copied: from a file, or made up.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace fallow::guests {

struct Rating {
  std::uint32_t user = 0;
  std::uint32_t movie = 0;
  float stars = 0;
  bool operator==(const Rating&) const = default;
};

// Users and movies are numbered from 0 without gaps; each has a rating. Ordered by user.
struct RatingList {
  std::uint32_t users = 0;
  std::uint32_t movies = 0;
  std::vector<Rating> ratings;
};

// MovieLens' form: a header, then lines 'userid,movieid,rating,timestamp'. Or one line that says
// what is wrong with the file.
std::variant<RatingList, std::string> load_ratings(const std::string& path,
                                                   std::uint64_t ratings_max);

struct RatingShape {
  std::uint32_t users = 610;  // those of MovieLens' latest-small
  std::uint32_t movies = 9724;
};

// The same, with fewer of both where memory is so little that a copy would be much of it.
RatingShape rating_shape_within(std::uint64_t megabytes);

// Some users rate much more than others, some movies are rated much more often, and what is rated
// follows from tastes, so that there is something to learn. About 165 ratings of each user. The
// same seed and shape give the same ratings, on every machine.
RatingList generate_ratings(std::uint64_t seed, const RatingShape& shape = {});

}  // namespace fallow::guests
