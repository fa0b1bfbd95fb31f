#include "in_memory_analytics/rating_table.h"

#include <bit>

#include "common/mix.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kRatingsPerLink = 32;

std::uint64_t copy_rated(std::uint64_t seed, std::uint64_t rating, std::uint64_t own,
                         std::uint64_t copies) {
  const bool linked = mix(seed, rating) % kRatingsPerLink == 0;
  return linked ? mix(~seed, rating) % copies : own;
}

}  // namespace

Footprint rating_footprint(const RatingList& list, std::uint64_t factors) {
  const std::uint64_t number_bytes = sizeof(std::uint64_t) + factors * sizeof(float);
  return {kProgramBytes + list.ratings.size() * sizeof(Rating),
          list.ratings.size() * 2 * sizeof(Opinion) +
              (std::uint64_t{list.users} + list.movies) * number_bytes};
}

std::uint64_t RatingSide::fingerprint() const {
  Fingerprint sum;
  for (const std::uint64_t first : first_) {
    sum.add(first);
  }
  for (const Opinion& opinion : opinions_) {
    sum.add(std::uint64_t{opinion.other} << 32 | std::bit_cast<std::uint32_t>(opinion.stars));
  }
  return sum.value();
}

RatingTable::RatingTable(const RatingList& list, std::uint64_t copies, std::uint64_t seed) {
  movies_.first_.resize(list.movies * copies + 1);
  fill_users(list, copies, seed);
  fill_movies();
  built_ = fingerprint();
}

void RatingTable::fill_users(const RatingList& list, std::uint64_t copies, std::uint64_t seed) {
  users_.first_.reserve(list.users * copies + 1);
  users_.opinions_.reserve(list.ratings.size() * copies);
  for (std::uint64_t copy = 0; copy < copies; ++copy) {
    for (const Rating& rating : list.ratings) {
      while (users_.first_.size() <= copy * list.users + rating.user) {
        users_.first_.push_back(users_.opinions_.size());
      }
      const std::uint64_t rated = copy_rated(seed, users_.opinions_.size(), copy, copies);
      const std::uint64_t movie = rated * list.movies + rating.movie;
      users_.opinions_.push_back({static_cast<std::uint32_t>(movie), rating.stars});
      ++movies_.first_[movie + 1];
    }
  }
  users_.first_.push_back(users_.opinions_.size());
}

// first_[m + 1] is how many ratings movie m has, then where its next one goes, and so, in the end,
// where those of m + 1 begin.
void RatingTable::fill_movies() {
  std::uint64_t begin = 0;
  for (std::uint64_t m = 0; m < movies_.size(); ++m) {
    const std::uint64_t count = movies_.first_[m + 1];
    movies_.first_[m + 1] = begin;
    begin += count;
  }
  movies_.opinions_.resize(users_.ratings());
  for (std::uint64_t user = 0; user < users_.size(); ++user) {
    for (const Opinion& opinion : users_.of(user)) {
      const std::uint64_t place = movies_.first_[opinion.other + 1]++;
      movies_.opinions_[place] = {static_cast<std::uint32_t>(user), opinion.stars};
    }
  }
}

std::uint64_t RatingTable::fingerprint() const {
  Fingerprint sum;
  sum.add(users_.fingerprint());
  sum.add(movies_.fingerprint());
  return sum.value();
}

}  // namespace fallow::guests
