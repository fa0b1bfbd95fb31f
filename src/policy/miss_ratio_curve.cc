#include "policy/miss_ratio_curve.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <queue>
#include <unordered_map>

#include "base/check.h"

namespace fallow::policy {
namespace {

using Point = MissRatioCurve::Point;

constexpr unsigned kSizesCompared = 1000;

// Buckets of the histogram: one for each distance below 128, then 64 for each power of two.
constexpr std::uint64_t kDistanceMax = (std::uint64_t{1} << 52) - 1;
constexpr unsigned kSubBits = 6;

std::size_t bucket_of(std::uint64_t distance) {
  const auto width = static_cast<std::size_t>(std::bit_width(distance));
  const std::size_t shift = width > kSubBits + 1 ? width - kSubBits - 1 : 0;
  return (shift << kSubBits) + (distance >> shift);
}

struct Range {
  std::uint64_t first;
  std::uint64_t last;
};
Range distances_of(std::size_t bucket) {
  const std::size_t shift = bucket < 128 ? 0 : (bucket >> kSubBits) - 1;
  const std::uint64_t mantissa = bucket - (shift << kSubBits);
  return {mantissa << shift, ((mantissa + 1) << shift) - 1};
}

const std::size_t kBuckets = bucket_of(kDistanceMax) + 1;

double between(const Point& left, const Point& right, std::uint64_t pages) {
  const double part =
      static_cast<double>(pages - left.pages) / static_cast<double>(right.pages - left.pages);
  return left.miss_ratio + part * (right.miss_ratio - left.miss_ratio);
}

// Points of a curve from left to right; it falls, whatever is added.
class CurveBuilder {
 public:
  // `hits` more of all references, with distances in this range.
  void add(const Range& distances, double hits) {
    put({distances.first - 1, level()});
    hits_ += hits;
    put({distances.last, level()});
  }
  [[nodiscard]] std::vector<Point> take() { return std::move(points_); }

 private:
  // An adjustment may make the first share of hits negative.
  [[nodiscard]] double level() const {
    return std::min(points_.back().miss_ratio, std::clamp(1.0 - hits_, 0.0, 1.0));
  }
  void put(const Point& point) {
    if (point.pages > points_.back().pages) {
      points_.push_back(point);
    }
  }

  std::vector<Point> points_{{0, 1.0}};
  double hits_ = 0;
};

// A stretch between two points that are kept, and the point within it that it misses by most.
struct Stretch {
  std::size_t first;
  std::size_t last;
  std::size_t worst;
  double error;
  bool operator<(const Stretch& other) const { return error < other.error; }
};

Stretch stretch_of(const std::vector<Point>& points, std::size_t first, std::size_t last) {
  Stretch stretch{first, last, first, 0};
  for (std::size_t i = first + 1; i < last; ++i) {
    const double straight = between(points[first], points[last], points[i].pages);
    if (const double error = std::abs(points[i].miss_ratio - straight); error > stretch.error) {
      stretch.worst = i;
      stretch.error = error;
    }
  }
  return stretch;
}

}  // namespace

MissRatioCurve::MissRatioCurve(std::vector<Point> points) : points_(std::move(points)) {
  CHECK(!points_.empty());
  for (std::size_t i = 1; i < points_.size(); ++i) {
    CHECK(points_[i - 1].pages < points_[i].pages);
    CHECK(points_[i - 1].miss_ratio >= points_[i].miss_ratio);
  }
}

double MissRatioCurve::miss_ratio_at(std::uint64_t pages) const {
  const auto right = std::lower_bound(
      points_.begin(), points_.end(), pages,
      [](const Point& point, std::uint64_t wanted) { return point.pages < wanted; });
  if (right == points_.end()) {
    return points_.back().miss_ratio;
  }
  return right == points_.begin() ? right->miss_ratio : between(*(right - 1), *right, pages);
}

std::optional<std::uint64_t> MissRatioCurve::pages_for(double miss_ratio) const {
  const auto right =
      std::lower_bound(points_.begin(), points_.end(), miss_ratio,
                       [](const Point& point, double wanted) { return point.miss_ratio > wanted; });
  if (right == points_.end()) {
    return std::nullopt;
  }
  if (right == points_.begin()) {
    return right->pages;
  }
  const Point& left = *(right - 1);
  const double part = (left.miss_ratio - miss_ratio) / (left.miss_ratio - right->miss_ratio);
  const auto step = std::ceil(part * static_cast<double>(right->pages - left.pages));
  return std::min(right->pages, left.pages + static_cast<std::uint64_t>(step));
}

MissRatioCurve MissRatioCurve::reduced(std::size_t points_max) const {
  CHECK(points_max >= 2);
  if (points_.size() <= points_max) {
    return *this;
  }
  std::vector<Point> kept{points_.front(), points_.back()};
  std::priority_queue<Stretch> stretches;
  stretches.push(stretch_of(points_, 0, points_.size() - 1));
  while (kept.size() < points_max && stretches.top().error > 0) {
    const Stretch widest = stretches.top();
    stretches.pop();
    kept.push_back(points_[widest.worst]);
    stretches.push(stretch_of(points_, widest.first, widest.worst));
    stretches.push(stretch_of(points_, widest.worst, widest.last));
  }
  std::sort(kept.begin(), kept.end(),
            [](const Point& left, const Point& right) { return left.pages < right.pages; });
  return MissRatioCurve(std::move(kept));
}

MissRatioCurve exact_miss_ratio_curve(std::span<const std::uint64_t> pages) {
  FenwickTree lasts(pages.size());
  std::unordered_map<std::uint64_t, std::size_t> last_of;
  std::vector<std::uint64_t> counts(1);  // by distance
  for (std::size_t now = 0; now < pages.size(); ++now) {
    const auto [found, first] = last_of.try_emplace(pages[now], now);
    if (!first) {
      const std::size_t distance = last_of.size() - lasts.below(found->second);
      lasts.add(found->second, -1);
      found->second = now;
      counts.resize(std::max(counts.size(), distance + 1));
      ++counts[distance];
    }
    lasts.add(now, 1);
  }
  CurveBuilder curve;
  for (std::size_t distance = 1; distance < counts.size(); ++distance) {
    if (counts[distance] > 0) {
      curve.add({distance, distance},
                static_cast<double>(counts[distance]) / static_cast<double>(pages.size()));
    }
  }
  return MissRatioCurve(curve.take());
}

double mean_absolute_error(const MissRatioCurve& left, const MissRatioCurve& right) {
  const std::uint64_t end = std::max(left.points().back().pages, right.points().back().pages);
  double sum = 0;
  for (unsigned i = 1; i <= kSizesCompared; ++i) {
    const auto pages = static_cast<std::uint64_t>(static_cast<double>(end) * i / kSizesCompared);
    sum += std::abs(left.miss_ratio_at(pages) - right.miss_ratio_at(pages));
  }
  return sum / kSizesCompared;
}

MissRatioEstimator::MissRatioEstimator(const Options& options)
    : options_(options),
      histogram_(kBuckets),
      line_(std::size_t{options.samples_max} * 2),
      lasts_(line_.size()),
      entries_(std::bit_ceil(std::size_t{options.samples_max} * 2)) {
  scratch_.reserve(options.samples_max);
  CHECK(options.samples_max >= 16 && options.samples_max <= 1U << 24);
  CHECK(options.window_ages > 0);
}

double MissRatioEstimator::rate_of(std::uint64_t threshold) {
  return std::ldexp(static_cast<double>(threshold) + 1, -64);
}

void MissRatioEstimator::sampled(std::uint64_t hash) {
  Entry* entry = &entry_of(hash);
  if (entry->place != 0) {
    const std::size_t place = entry->place - 1;
    count_reuse(place);
    line_[place].last = false;
    lasts_.add(place, -1);
    --samples_;
  } else {
    count_first(hash);
  }
  append(*entry, hash);
  if (samples_ == options_.samples_max) {
    lower_threshold();
    compact();
  } else if (line_end_ == line_.size()) {
    compact();
  }
}

// A page whose last reference dates from before the rise was sampled at the rate of then, and so
// were those between it and the rise.
void MissRatioEstimator::count_reuse(std::size_t place) {
  const double rate = rate_of(threshold_);
  const double rate_before = rate_of(threshold_before_);
  const std::size_t split = std::max(raised_at_, place + 1);
  const std::uint32_t at_split = lasts_.below(split);
  const double distance = 1 +
                          static_cast<double>(at_split - lasts_.below(place + 1)) / rate_before +
                          static_cast<double>(samples_ - at_split) / rate;
  const double bounded = std::min(distance, static_cast<double>(kDistanceMax));
  histogram_[bucket_of(static_cast<std::uint64_t>(bounded))] +=
      1 / (place < raised_at_ ? rate_before : rate);
}

// Of a page that the rise has brought into the sample, nobody knows whether this is its first.
void MissRatioEstimator::count_first(std::uint64_t hash) {
  if (hash <= threshold_before_) {
    first_references_ += 1 / rate_of(threshold_before_);
  }
}

// Where the hash is, or would be. There is always a free one.
MissRatioEstimator::Entry& MissRatioEstimator::entry_of(std::uint64_t hash) {
  const std::size_t mask = entries_.size() - 1;
  // Low bits, as the sample's high ones are all alike.
  std::size_t at = hash & mask;
  while (entries_[at].place != 0 && entries_[at].hash != hash) {
    at = (at + 1) & mask;
  }
  return entries_[at];
}

void MissRatioEstimator::append(Entry& entry, std::uint64_t hash) {
  line_[line_end_] = {hash, age_, true};
  lasts_.add(line_end_, 1);
  entry = {hash, static_cast<std::uint32_t>(++line_end_)};
  ++samples_;
}

// The paper takes one page off the sample at a time. Some at once keep the cost of compacting low.
void MissRatioEstimator::lower_threshold() {
  scratch_.clear();
  for (std::size_t place = 0; place < line_end_; ++place) {
    if (line_[place].last) {
      scratch_.push_back(line_[place].hash);
    }
  }
  const auto highest_kept = scratch_.end() - 1 - static_cast<std::ptrdiff_t>(samples_ / 16);
  std::nth_element(scratch_.begin(), highest_kept, scratch_.end());
  threshold_ = *highest_kept;
  threshold_before_ = std::min(threshold_before_, threshold_);
}

// One rise at a time: the next comes when nothing dates from before this one.
void MissRatioEstimator::raise_threshold() {
  if (samples_ >= options_.samples_max / 4 || threshold_ == UINT64_MAX ||
      threshold_before_ != threshold_) {
    return;
  }
  const double wanted =
      options_.samples_max / 2.0 / std::max<double>(1, static_cast<double>(samples_));
  const double rate = rate_of(threshold_) * wanted;
  threshold_ = rate < 1 ? static_cast<std::uint64_t>(std::ldexp(rate, 64)) : UINT64_MAX;
  raised_at_ = line_end_;
}

bool MissRatioEstimator::counts(const Moment& moment) const {
  return moment.last && moment.hash <= threshold_ && age_ - moment.age < options_.window_ages;
}

// Leaves the pages of the sample on the line, in order, and nothing else.
void MissRatioEstimator::compact() {
  std::fill(entries_.begin(), entries_.end(), Entry{});
  std::size_t kept = 0;
  std::size_t kept_before = 0;
  for (std::size_t place = 0; place < line_end_; ++place) {
    const Moment moment = line_[place];
    if (counts(moment)) {
      line_[kept++] = moment;
      kept_before += place < raised_at_ ? 1 : 0;
      entry_of(moment.hash) = {moment.hash, static_cast<std::uint32_t>(kept)};
    }
  }
  lasts_.fill(kept);
  line_end_ = kept;
  samples_ = kept;
  raised_at_ = kept_before;
  if (raised_at_ == 0) {
    threshold_before_ = threshold_;
  }
}

void MissRatioEstimator::age(double factor) {
  CHECK(factor >= 0 && factor <= 1);
  for (double& count : histogram_) {
    count *= factor;
  }
  first_references_ *= factor;
  total_ = references() * factor;
  references_ = 0;
  ++age_;
  compact();
  raise_threshold();
}

MissRatioCurve MissRatioEstimator::curve() const {
  const double total = references();
  const double seen = std::accumulate(histogram_.begin(), histogram_.end(), first_references_);
  CurveBuilder curve;
  for (std::size_t bucket = 1; bucket < histogram_.size() && total > 0; ++bucket) {
    const double adjustment = bucket == 1 ? total - seen : 0;
    if (const double count = histogram_[bucket] + adjustment; count != 0) {
      curve.add(distances_of(bucket), count / total);
    }
  }
  return MissRatioCurve(curve.take()).reduced(kCurvePointsMax);
}

std::uint64_t MissRatioEstimator::working_set_pages() const {
  const std::uint32_t before = lasts_.below(raised_at_);
  const double pages = before / rate_of(threshold_before_) +
                       static_cast<double>(samples_ - before) / rate_of(threshold_);
  return static_cast<std::uint64_t>(std::llround(pages));
}

std::size_t MissRatioEstimator::memory_bytes() const {
  return sizeof *this + histogram_.capacity() * sizeof histogram_[0] +
         line_.capacity() * sizeof line_[0] + lasts_.bytes() +
         entries_.capacity() * sizeof entries_[0] + scratch_.capacity() * sizeof scratch_[0];
}

}  // namespace fallow::policy
