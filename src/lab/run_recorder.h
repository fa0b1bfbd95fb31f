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
  // What was not ended is no recording, and goes; what was at `path` before stays.
  ~RunRecorder();
  RunRecorder(const RunRecorder&) = delete;
  RunRecorder& operator=(const RunRecorder&) = delete;

  // Returns once the daemon records.
  Status start();
  [[nodiscard]] MarkBook& marks() { return marks_; }
  // Since the recording began.
  [[nodiscard]] std::uint64_t now_ns() const { return clock_.now_ns() - started_ns_; }
  // The recording ends, is whole but for what it says is missing, and takes its place.
  Status end();

 private:
  void join();

  const node::ControlClient& client_;
  const std::string path_;
  const std::string new_path_;  // until it is whole
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
