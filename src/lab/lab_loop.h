// The lab's one thread: it waits for guests, children and the clock at once, always up to a
// deadline, and gives up every wait when the operator interrupts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/result.h"

namespace fallow::lab {

class LabLoop {
 public:
  // Takes SIGINT and SIGTERM over for the whole process: create it before any other thread.
  static Result<std::unique_ptr<LabLoop>> create();
  ~LabLoop();

  EventLoop& events() { return *events_; }
  [[nodiscard]] std::uint64_t now_ms() const { return clock_.now_ns() / 1'000'000; }

  // Handles events until `done` holds. Handlers only note what happened: they never wait
  // themselves. An error when the deadline passes first ("... did not happen within N s") or on an
  // interrupt.
  Status wait_until(const std::function<bool()>& done, std::uint64_t timeout_ms,
                    const std::string& what);
  [[nodiscard]] bool interrupted() const { return interrupted_; }

 private:
  LabLoop() = default;
  Status watch_signals();

  SystemClock clock_;
  std::unique_ptr<EventLoop> events_;
  UniqueFd signals_;
  bool interrupted_ = false;
};

}  // namespace fallow::lab
