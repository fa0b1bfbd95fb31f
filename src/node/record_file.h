// Records a daemon into a file: what `fallow record` does, and the lab.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "node/control_client.h"
#include "recording/file.h"
#include "recording/operations.h"
#include "recording/recorder.h"

namespace fallow::node {

// With so much a recording ends by itself: the next part, which holds no more than the daemon keeps
// waiting and a note of each client, could be more than is read.
struct RecordingLimits {
  std::uint64_t operations = recording::kOperationsMax - recording::Recorder::kWaitingMax;
  std::uint64_t notes = recording::kNotesMax - (1 << 16);
};

struct RecordedFigures {
  std::uint64_t operations = 0;
  std::uint64_t notes = 0;       // of clients
  std::uint64_t missing = 0;     // dropped, as they came faster than they could be written
  std::uint64_t bytes = 0;       // of the file
  std::uint64_t started_ns = 0;  // of CLOCK_MONOTONIC
  bool full = false;             // it ended by itself
};

class RecordingFile {
 public:
  // What is there already is replaced once the daemon has answered.
  explicit RecordingFile(std::string path, RecordingLimits limits = {})
      : path_(std::move(path)), limits_(limits) {}

  // Until `stopped()`, which is asked some times a second with the figures so far, or until the
  // file is full. It is whole when this returns without an error, but for its end.
  Status record(const ControlClient& client,
                const std::function<bool(const RecordedFigures&)>& stopped);
  // Marks that were set meanwhile, and the end.
  Status end(std::span<const recording::Mark> marks = {});

  [[nodiscard]] const RecordedFigures& figures() const { return figures_; }

 private:
  Status append(const std::string& bytes);

  const std::string path_;
  const RecordingLimits limits_;
  bool begun_ = false;
  RecordedFigures figures_;
};

}  // namespace fallow::node
