// The thread behind a controller: calls a function at the end of every interval. Kept apart so that
// what is called can be tested without time passing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "base/event_loop.h"
#include "base/result.h"

namespace fallow::node {

class IntervalThread {
 public:
  static Result<std::unique_ptr<IntervalThread>> start(std::uint64_t interval_ns,
                                                       std::function<void()> tick);
  // Waits for a tick that is under way; none comes after it.
  ~IntervalThread();
  IntervalThread(const IntervalThread&) = delete;
  IntervalThread& operator=(const IntervalThread&) = delete;

 private:
  explicit IntervalThread(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}

  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace fallow::node
