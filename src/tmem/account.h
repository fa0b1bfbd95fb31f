// One client's account: what it holds, what it may hold, and what it did (004, Table 2.1).
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/histogram.h"
#include "base/units.h"

namespace fallow::tmem {

// Since the client came, or within one interval.
struct Counters {
  std::uint64_t puts_total = 0;     // puts asked for
  std::uint64_t puts_succ = 0;      // puts stored
  std::uint64_t gets_total = 0;     // gets asked for
  std::uint64_t gets_succ = 0;      // gets that found their page
  std::uint64_t flushes_total = 0;  // flush operations asked for
  std::uint64_t pages_flushed = 0;  // pages that they freed
  std::uint64_t pages_evicted = 0;  // ephemeral pages that gave way
  std::uint64_t pages_demoted = 0;  // pages moved to the backing store

  Counters operator-(const Counters& earlier) const;
  bool operator==(const Counters&) const = default;
};

// Any thread, without locks. Every counter is relaxed: each stands for itself, and readers accept
// that two of them may be a moment apart. `used` alone guards something, and it does so by its own
// compare-and-swap.
class Account {
 public:
  // Takes frames off the allowance, all of them or none: 004, Algorithm 1, lines 5-6 and 11, for
  // any number of threads.
  bool try_charge(std::uint64_t frames = 1) {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used + frames > target_.load(std::memory_order_relaxed)) {
        return false;
      }
    } while (!used_.compare_exchange_weak(used, used + frames, std::memory_order_relaxed));
    return true;
  }
  // For frames that are held already.
  void charge(std::uint64_t frames = 1) { used_.fetch_add(frames, std::memory_order_relaxed); }
  void uncharge(std::uint64_t frames = 1) { used_.fetch_sub(frames, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t target() const { return target_.load(std::memory_order_relaxed); }
  void set_target(std::uint64_t frames) { target_.store(frames, std::memory_order_relaxed); }

  [[nodiscard]] bool compresses() const { return compresses_.load(std::memory_order_relaxed); }
  void set_compresses(bool on) { compresses_.store(on, std::memory_order_relaxed); }

  using Counter = std::atomic<std::uint64_t>;
  static std::uint64_t count(Counter& counter) {
    return counter.fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] Counters counters() const;
  // For the next client: all zero, but for `used`, which is zero when the last page has gone.
  void reset();

  Counter puts_total{0};
  Counter puts_succ{0};
  Counter gets_total{0};
  Counter gets_succ{0};
  Counter flushes_total{0};
  Counter pages_flushed{0};
  Counter pages_evicted{0};
  Counter pages_demoted{0};
  Counter patterns{0};  // pages of one repeated word that it holds without a frame

  // Sampled: the store says how often.
  Histogram put_ns;
  Histogram get_ns;

 private:
  alignas(64) std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> target_{0};
  std::atomic<bool> compresses_{false};
};

}  // namespace fallow::tmem
