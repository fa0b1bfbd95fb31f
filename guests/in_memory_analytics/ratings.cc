#include "in_memory_analytics/ratings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "common/copies.h"
#include "common/mix.h"
#include "common/number_lines.h"
#include "common/options.h"

namespace fallow::guests {
namespace {

constexpr float kStarsMax = 10;

bool parse_number(std::string_view text, std::uint32_t& number) {
  std::uint64_t whole = 0;
  if (!parse_whole(text, whole) || whole > UINT32_MAX) {
    return false;
  }
  number = static_cast<std::uint32_t>(whole);
  return true;
}

bool parse_stars(std::string_view text, float& stars) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), stars);
  return error == std::errc() && end == text.data() + text.size() && stars >= 0 &&
         stars <= kStarsMax;
}

std::uint32_t renumber(std::vector<Rating>& ratings, std::uint32_t Rating::*member) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(ratings.size());
  for (const Rating& rating : ratings) {
    numbers.push_back(rating.*member);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  for (Rating& rating : ratings) {
    const auto place = std::lower_bound(numbers.begin(), numbers.end(), rating.*member);
    rating.*member = static_cast<std::uint32_t>(place - numbers.begin());
  }
  return static_cast<std::uint32_t>(numbers.size());
}

RatingList renumbered(std::vector<Rating> ratings) {
  const std::uint32_t users = renumber(ratings, &Rating::user);
  const std::uint32_t movies = renumber(ratings, &Rating::movie);
  std::stable_sort(ratings.begin(), ratings.end(),
                   [](const Rating& a, const Rating& b) { return a.user < b.user; });
  return {users, movies, std::move(ratings)};
}

// As in MovieLens: from some tens up to more than a quarter of all movies, the more the rarer.
std::uint32_t ratings_of_user(Random& random, const RatingShape& shape) {
  constexpr double kMin = 30;
  const double many = kMin / (1 - random.fraction());
  return static_cast<std::uint32_t>(std::min(many, shape.movies * 0.28)) + 1;
}

// Cubed, so that a tenth of the movies has almost half of the ratings.
std::uint32_t some_movie(Random& random, const RatingShape& shape) {
  const double place = random.fraction();
  return static_cast<std::uint32_t>(place * place * place * shape.movies);
}

// Somebody's taste, and how much a movie is to it: numbers from -1 to 1.
using Taste = std::array<double, 4>;

Taste taste(std::uint64_t seed, std::uint64_t number) {
  Random random(mix(seed, number));
  Taste values{};
  for (double& value : values) {
    value = 2 * random.fraction() - 1;
  }
  return values;
}

// In halves from 0.5 to 5; the last number of each taste is a liking for, or of, everything.
float stars(const Taste& user, const Taste& movie, Random& random) {
  double value = 3.5 + 0.6 * user[3] + 0.8 * movie[3] + 0.8 * (random.fraction() - 0.5);
  for (std::size_t i = 0; i < 3; ++i) {
    value += 1.2 * user[i] * movie[i];
  }
  return static_cast<float>(std::clamp(std::floor(2 * value + 0.5) / 2, 0.5, 5.0));
}

}  // namespace

std::variant<RatingList, std::string> load_ratings(const std::string& path,
                                                   std::uint64_t ratings_max) {
  std::vector<Rating> ratings;
  const LineForm form{4, "userid,movieid,rating,timestamp",
                      "user and movie numbers below 2^32, a rating from 0 to 10 and a time, such "
                      "as 1,31,2.5,1260759144",
                      ratings_max};
  std::string error = read_number_lines(path, form, [&ratings](auto fields) {
    Rating rating;
    std::uint64_t time = 0;
    if (!parse_number(fields[0], rating.user) || !parse_number(fields[1], rating.movie) ||
        !parse_stars(fields[2], rating.stars) || !parse_whole(fields[3], time)) {
      return false;
    }
    ratings.push_back(rating);
    return true;
  });
  if (!error.empty()) {
    return error;
  }
  return renumbered(std::move(ratings));
}

RatingShape rating_shape_within(std::uint64_t megabytes) {
  RatingShape shape;
  const std::uint64_t parts = small_part(megabytes);
  shape.users /= static_cast<std::uint32_t>(parts);
  shape.movies /= static_cast<std::uint32_t>(parts);
  return shape;
}

RatingList generate_ratings(std::uint64_t seed, const RatingShape& shape) {
  Random random(seed);
  std::vector<Rating> ratings;
  for (std::uint32_t user = 0; user < shape.users; ++user) {
    const Taste likes = taste(seed, user);
    const std::uint32_t count = ratings_of_user(random, shape);
    std::set<std::uint32_t> seen;
    while (seen.size() < count) {
      const std::uint32_t movie = some_movie(random, shape);
      if (seen.insert(movie).second) {
        ratings.push_back({user, movie, stars(likes, taste(~seed, movie), random)});
      }
    }
  }
  return renumbered(std::move(ratings));
}

}  // namespace fallow::guests
