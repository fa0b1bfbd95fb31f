// How long a waiter may look for news before it sleeps. Looking is cheap when the other side is at
// work on another CPU, and a theft when it waits for this one; waking a sleeper costs tens of
// microseconds. So: look for as long as a wake-up would cost while that finds news, less and less
// while it does not, and try once more in a while.
//
// Not synchronised: one waiter's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fallow::ring {

class SpinBudget {
 public:
  // About what it costs when both sides sleep: one wake-up each.
  static constexpr std::uint64_t kLongestNs = 100'000;
  static constexpr std::uint64_t kShortestNs = 2'000;
  static constexpr unsigned kSleepsToTryAgain = 16;

  [[nodiscard]] std::uint64_t limit_ns() const { return limit_ns_; }

  // News came while looking.
  void found() {
    limit_ns_ = kLongestNs;
    sleeps_ = 0;
  }

  // limit_ns() passed in vain, and the waiter sleeps.
  void slept() {
    ++sleeps_;
    limit_ns_ = sleeps_ % kSleepsToTryAgain == 0 ? kLongestNs
                                                 : std::max(kShortestNs, kLongestNs >> shift());
  }

 private:
  [[nodiscard]] unsigned shift() const { return std::min(sleeps_, 6u); }

  std::uint64_t limit_ns_ = kLongestNs;
  unsigned sleeps_ = 0;
};

}  // namespace fallow::ring
