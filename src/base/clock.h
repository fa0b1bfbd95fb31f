// The clock is passed in wherever a decision depends on time, so that a test or a simulation can
// turn it by hand. scripts/lint forbids the direct calls in layers 1 to 4.
#pragma once

#include <atomic>
#include <cstdint>

namespace fallow {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since some fixed moment; never goes back. Any thread.
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  // Returns once it is so late.
  virtual void sleep_until_ns(std::uint64_t time_ns) const = 0;
};

// CLOCK_MONOTONIC.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override;
  void sleep_until_ns(std::uint64_t time_ns) const override;
};

class ManualClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return now_ns_.load(); }
  // Turns it that far itself. One thread at a time.
  void sleep_until_ns(std::uint64_t time_ns) const override {
    now_ns_.store(time_ns > now_ns_.load() ? time_ns : now_ns_.load());
  }
  void advance_ns(std::uint64_t by) { now_ns_.fetch_add(by); }

 private:
  mutable std::atomic<std::uint64_t> now_ns_{0};
};

}  // namespace fallow
