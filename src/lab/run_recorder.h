// Records the daemon of a run beside it, on a thread of its own, with the marks of the run.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <string>
#include <thread>

#include "base/clock.h"
#include "lab/mark_book.h"
#include "node/record_file.h"

namespace fallow::lab {

class RunRecorder {
 public:
  // `client` and `scenario` must outlive it.
  RunRecorder(const node::ControlClient& client, const Scenario& scenario, std::string path);
  // The file that was not ended is no recording, and goes.
  ~RunRecorder();
  RunRecorder(const RunRecorder&) = delete;
  RunRecorder& operator=(const RunRecorder&) = delete;

  // Returns once the daemon records.
  Status start();
  [[nodiscard]] MarkBook& marks() { return marks_; }
  // Since the recording began.
  [[nodiscard]] std::uint64_t now_ns() const { return clock_.now_ns() - started_ns_; }
  // The recording ends, and is whole but for what it says is missing.
  Status end();

 private:
  void join();

  const node::ControlClient& client_;
  const std::string path_;
  const SystemClock clock_;
  node::RecordingFile file_;
  MarkBook marks_;
  std::uint64_t started_ns_ = 0;
  std::atomic<bool> stopped_{false};
  std::promise<void> begun_;
  Status status_;  // the thread's, until it is joined
  std::thread thread_;
  bool whole_ = false;
};

}  // namespace fallow::lab
