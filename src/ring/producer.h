// The client's side of a queue pair (abi.h): publishes entries, takes completions, waits for them.
//
// The daemon's line is looked at with care though the daemon is trusted: a client in a library must
// survive a daemon that is broken, and tells its caller so.
//
// One thread at a time. The memory and the doorbell outlive a daemon that dies: what it completed
// can still be taken.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "ring/abi.h"
#include "ring/spin_budget.h"

namespace fallow::ring {

class Producer {
 public:
  enum class Wait {
    kCompletion,  // take() has something to give
    kTimeout,
  };

  // What a QueueOpened brought: `memory` of queue_bytes(entries), `doorbell` an eventfd. `clock`
  // outlives the producer.
  static Result<std::unique_ptr<Producer>> create(Mapping memory, UniqueFd doorbell,
                                                  std::uint32_t entries, const Clock& clock);

  // Entries that were pushed and whose completions have not been taken.
  [[nodiscard]] std::uint32_t in_flight() const { return pushed_ - consumed_; }
  [[nodiscard]] std::uint32_t entries() const { return entries_; }
  [[nodiscard]] bool full() const { return in_flight() == entries_; }

  // Fills the next entry in; the queue must not be full. The daemon sees it after publish().
  void push(const Submission& submission);
  // Shows what was pushed, and wakes a daemon that sleeps.
  void publish();

  // Up to `max` completions, oldest first; never waits. Negative: the daemon's index is impossible,
  // and nothing more can be had of this queue.
  int take(Completion* completions, unsigned max);

  // Waits until there is a completion or `timeout_ns` passed: looks for a while, then sleeps. May
  // return early with kTimeout.
  Wait wait(std::uint64_t timeout_ns);

 private:
  Producer(Mapping memory, UniqueFd doorbell, std::uint32_t entries, const Clock& clock);

  [[nodiscard]] std::uint32_t completed() const;
  [[nodiscard]] bool news() const { return completed() != consumed_; }
  // Looks for completions, without and then with leaving the CPU to others between two looks.
  bool look(std::uint64_t limit_ns);
  template <typename Between>
  bool look_until(std::uint64_t end_ns, Between between);
  void sleep(std::uint64_t timeout_ns);

  const Mapping memory_;
  const UniqueFd doorbell_;
  const std::uint32_t entries_;
  const Clock& clock_;
  ClientLine& ours_;
  DaemonLine& theirs_;
  Submission* const submissions_;
  const Completion* const completions_;

  // Our own indices; what stands in the shared line is written from them and never read back.
  std::uint32_t pushed_ = 0;
  std::uint32_t published_ = 0;
  std::uint32_t consumed_ = 0;

  // A daemon at work on another CPU answers within microseconds; one that waits for this very CPU
  // never does while we keep it.
  SpinBudget alone_{4'000, 200};
  // About what it costs when both sides sleep: one wake-up each.
  SpinBudget looking_{100'000, 2'000};
};

}  // namespace fallow::ring
