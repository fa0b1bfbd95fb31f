// How many of a client's references would miss in a memory of each size: the curve, an online
// estimate of it from a bounded sample of the pages, and the exact one, to check the estimate by.
//
// Memory here is managed least recently used first, so a reference hits in every memory of at least
// its stack distance: the number of different pages since the page's own last reference, itself
// included (Mattson et al., Evaluation techniques for storage hierarchies, 1970).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/fenwick_tree.h"

namespace fallow::policy {

class MissRatioCurve {
 public:
  struct Point {
    std::uint64_t pages;
    double miss_ratio;  // 0 to 1
    bool operator==(const Point&) const = default;
  };

  // Nothing is known: everything misses.
  MissRatioCurve() : MissRatioCurve({{0, 1.0}}) {}
  // At least one point; `pages` rise strictly, ratios do not rise.
  explicit MissRatioCurve(std::vector<Point> points);

  [[nodiscard]] const std::vector<Point>& points() const { return points_; }
  // Straight between two points, level before the first and behind the last.
  [[nodiscard]] double miss_ratio_at(std::uint64_t pages) const;
  // The smallest memory that misses no more often; none when there is no such size.
  [[nodiscard]] std::optional<std::uint64_t> pages_for(double miss_ratio) const;
  // The points that matter most, at most so many (two at least): the greatest error is small.
  [[nodiscard]] MissRatioCurve reduced(std::size_t points_max) const;

 private:
  std::vector<Point> points_;
};

// O(n log n). First references miss in every memory.
MissRatioCurve exact_miss_ratio_curve(std::span<const std::uint64_t> pages);

// The mean difference of the ratios over sizes that are spaced evenly up to the last point of
// either.
double mean_absolute_error(const MissRatioCurve& left, const MissRatioCurve& right);

// SHARDS with a bound on the samples (Waldspurger et al., Efficient MRC Construction with SHARDS,
// FAST 2015): a page belongs to the sample when its hash is at most a threshold, so that all of its
// references are seen or none; distances among the sample are those among all pages, scaled by the
// rate. When the sample outgrows its bound the threshold falls. What each reference stands for is
// added as of the rate that it was seen at, which is the paper's rescaling of the histogram; what
// the sum lacks of the references that there were goes to the smallest distance (SHARDS-adj).
//
// Beyond the paper, age() lets old references count less, forgets pages that were not referenced
// for long, and lets the threshold rise again when few are left. After a rise, pages that were last
// seen before it are still a sample at the old rate: they are counted, and count, as such, and
// pages that the rise has brought in count from their second reference on.
//
// One thread. All memory is taken at the start.
class MissRatioEstimator {
 public:
  struct Options {
    std::uint32_t samples_max = 8192;  // pages, 16 to 2^24; each takes about 90 bytes
    std::uint64_t seed = 0;            // of the hash; unknown to whoever may choose page numbers
    std::uint32_t window_ages = 32;    // a page not referenced for so many age()s is forgotten
  };
  static constexpr std::size_t kCurvePointsMax = 256;

  explicit MissRatioEstimator(const Options& options);

  // For a page outside of the sample: one hash, one comparison.
  void reference(std::uint64_t page) {
    ++references_;
    if (const std::uint64_t hash = hash_of(page); hash <= threshold_) {
      sampled(hash);
    }
  }

  // What was seen so far counts `factor` (0 to 1) of what it did: call it at even intervals. O(the
  // bound on samples).
  void age(double factor);

  // At most kCurvePointsMax points. O(a few thousand).
  [[nodiscard]] MissRatioCurve curve() const;
  // Different pages within the window.
  [[nodiscard]] std::uint64_t working_set_pages() const;
  // References that the curve stands for: few of them, and it says little.
  [[nodiscard]] double references() const { return total_ + static_cast<double>(references_); }

  [[nodiscard]] std::size_t samples() const { return samples_; }
  [[nodiscard]] double sampling_rate() const { return rate_of(threshold_); }
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  // A reference on the time line: of a sampled page, the last one counts only.
  struct Moment {
    std::uint64_t hash = 0;
    std::uint32_t age = 0;
    bool last = false;
  };
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t place = 0;  // on the time line, plus one; 0: free
  };

  // The finalizer of MurmurHash3 has an inverse: different pages have different hashes.
  [[nodiscard]] std::uint64_t hash_of(std::uint64_t page) const {
    std::uint64_t hash = page ^ options_.seed;
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
    return hash ^ (hash >> 33);
  }
  static double rate_of(std::uint64_t threshold);

  void sampled(std::uint64_t hash);
  void count_reuse(std::size_t place);
  void count_first(std::uint64_t hash);
  Entry& entry_of(std::uint64_t hash);
  void append(Entry& entry, std::uint64_t hash);
  void lower_threshold();
  void raise_threshold();
  void compact();
  [[nodiscard]] bool counts(const Moment& moment) const;

  Options options_;
  std::uint64_t threshold_ = UINT64_MAX;
  std::uint64_t references_ = 0;  // since the last age()
  double total_ = 0;              // before it, as they count

  std::vector<double> histogram_;  // references by the bucket of their distance
  double first_references_ = 0;    // that have no distance

  std::vector<Moment> line_;
  std::size_t line_end_ = 0;
  FenwickTree lasts_;  // which places of the line are a page's last reference
  std::vector<Entry> entries_;
  std::size_t samples_ = 0;
  std::uint32_t age_ = 0;

  std::vector<std::uint64_t> scratch_;

  // Places before `raised_at_` date from before a rise of the threshold, when it was
  // `threshold_before_`; when there are none, that is the threshold of now.
  std::size_t raised_at_ = 0;
  std::uint64_t threshold_before_ = UINT64_MAX;
};

}  // namespace fallow::policy
