// How long a waiter may look for news before it does something dearer. Looking is cheap when the
// other side is at work on another CPU, and a theft when it waits for this one. So: look for as
// long as the dearer thing would cost while that finds news, half as long each time that it does
// not, and for long once more in a while.
//
// Not synchronised: one waiter's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fallow::ring {

class SpinBudget {
 public:
  static constexpr unsigned kTriesAgainEvery = 16;

  constexpr SpinBudget(std::uint64_t longest_ns, std::uint64_t shortest_ns)
      : longest_ns_(longest_ns), shortest_ns_(shortest_ns), limit_ns_(longest_ns) {}

  [[nodiscard]] std::uint64_t limit_ns() const { return limit_ns_; }

  // News came within the limit.
  void found() {
    limit_ns_ = longest_ns_;
    in_vain_ = 0;
  }

  // The limit passed in vain.
  void missed() {
    ++in_vain_;
    const std::uint64_t less_ns = std::max(longest_ns_ >> std::min(in_vain_, 63u), shortest_ns_);
    limit_ns_ = in_vain_ % kTriesAgainEvery == 0 ? longest_ns_ : less_ns;
  }

 private:
  const std::uint64_t longest_ns_;
  const std::uint64_t shortest_ns_;
  std::uint64_t limit_ns_;
  unsigned in_vain_ = 0;  // in a row
};

}  // namespace fallow::ring
