// How many of the places up to one are taken, and taking or giving up a place: each in O(log n).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fallow::policy {

class FenwickTree {
 public:
  explicit FenwickTree(std::size_t places) : sums_(places + 1) {}

  void add(std::size_t place, std::int32_t change) {
    for (std::size_t at = place + 1; at < sums_.size(); at += at & (~at + 1)) {
      sums_[at] += static_cast<std::uint32_t>(change);
    }
  }
  // Of the places below `end`.
  [[nodiscard]] std::uint32_t below(std::size_t end) const {
    std::uint32_t sum = 0;
    for (std::size_t at = end; at > 0; at &= at - 1) {
      sum += sums_[at];
    }
    return sum;
  }
  // The first `count` places are taken, the others are not.
  void fill(std::size_t count) {
    for (std::size_t at = 1; at < sums_.size(); ++at) {
      const std::size_t first = at - (at & (~at + 1));
      sums_[at] = static_cast<std::uint32_t>(std::min(at, count) - std::min(first, count));
    }
  }
  [[nodiscard]] std::size_t bytes() const { return sums_.capacity() * sizeof sums_[0]; }

 private:
  std::vector<std::uint32_t> sums_;
};

}  // namespace fallow::policy
