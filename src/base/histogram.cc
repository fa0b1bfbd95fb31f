#include "base/histogram.h"

#include <cmath>

namespace fallow {

std::uint64_t Histogram::upper_bound(unsigned bucket) {
  if (bucket < (1u << kSubBits)) {
    return bucket;
  }
  const unsigned shift = (bucket >> kSubBits) - 1;
  const std::uint64_t sub = (bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits);
  return (sub << shift) + ((std::uint64_t{1} << shift) - 1);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot result;
  for (unsigned i = 0; i < kBuckets; ++i) {
    result.counts[i] = counts_[i].load(std::memory_order_relaxed);
    result.total += result.counts[i];
  }
  result.sum = sum_.load(std::memory_order_relaxed);
  return result;
}

void Histogram::reset() {
  for (auto& count : counts_) {
    count.store(0, std::memory_order_relaxed);
  }
  sum_.store(0, std::memory_order_relaxed);
}

std::uint64_t Histogram::Snapshot::quantile(double q) const {
  if (total == 0) {
    return 0;
  }
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total)));
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < kBuckets; ++i) {
    seen += counts[i];
    if (seen >= rank) {
      return upper_bound(i);
    }
  }
  return upper_bound(kBuckets - 1);
}

}  // namespace fallow
