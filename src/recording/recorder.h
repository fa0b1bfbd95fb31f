// Collects operations while somebody records, in bounded memory: what comes while that is full is
// counted and dropped. Off, it costs its caller one relaxed load and a branch.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "recording/operations.h"

namespace fallow::recording {

// Any thread.
class Recorder {
 public:
  // 32 MiB of operations.
  static constexpr std::size_t kWaitingMax = std::size_t{1} << 20;

  // `clock` outlives it.
  explicit Recorder(const Clock& clock, std::size_t waiting_max = kWaitingMax)
      : clock_(clock), waiting_max_(waiting_max) {}

  [[nodiscard]] bool on() const { return on_.load(std::memory_order_relaxed); }
  // Sets the time. Operations of one thread stay in their order.
  void note(Operation operation);

  // False: it is on already.
  bool start();
  void stop();
  // Of the clock, when it was started.
  [[nodiscard]] std::uint64_t started_ns() const;
  [[nodiscard]] std::uint64_t now_ns() const { return clock_.now_ns() - started_ns(); }
  // What has come since the last call, in the order of the times; replaces what is in `taken`.
  void take(std::vector<Operation>& taken);
  // Since start().
  [[nodiscard]] std::uint64_t missing() const;

 private:
  const Clock& clock_;
  const std::size_t waiting_max_;
  std::atomic<bool> on_{false};
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Operation> waiting_;
  std::uint64_t started_ns_ = 0;
  std::uint64_t missing_ = 0;
};

}  // namespace fallow::recording
