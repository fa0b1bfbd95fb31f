// A latency histogram that many threads add to without a lock: log-linear buckets, eight for each
// power of two, so that any quantile is within 12.5% of the truth.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace fallow {

class Histogram {
 public:
  static constexpr unsigned kSubBits = 3;
  static constexpr unsigned kBuckets = (64 - kSubBits + 1) << kSubBits;

  struct Snapshot {
    std::array<std::uint64_t, kBuckets> counts{};
    std::uint64_t total = 0;
    std::uint64_t sum = 0;

    // The upper bound of the bucket that holds the q-th quantile, 0 < q <= 1; 0 when empty.
    [[nodiscard]] std::uint64_t quantile(double q) const;
  };

  void add(std::uint64_t value) {
    // relaxed: counters only; a snapshot may be torn between buckets, never within one.
    counts_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  [[nodiscard]] Snapshot snapshot() const;
  // Back to empty; what others add meanwhile may or may not count.
  void reset();

  static constexpr unsigned bucket_of(std::uint64_t value) {
    if (value < (1u << kSubBits)) {
      return static_cast<unsigned>(value);
    }
    const auto top = static_cast<unsigned>(std::bit_width(value)) - 1;
    const auto sub = static_cast<unsigned>(value >> (top - kSubBits)) & ((1u << kSubBits) - 1);
    return ((top - kSubBits + 1) << kSubBits) + sub;
  }

  // The largest value that falls into `bucket`.
  static std::uint64_t upper_bound(unsigned bucket);

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> sum_{0};
};

}  // namespace fallow
