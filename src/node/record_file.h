// Records a daemon into a file: what `fallow record` does, and the lab.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "node/control_client.h"
#include "recording/operations.h"

namespace fallow::node {

struct RecordedFigures {
  std::uint64_t operations = 0;
  std::uint64_t missing = 0;     // dropped, as they came faster than they could be written
  std::uint64_t bytes = 0;       // of the file
  std::uint64_t started_ns = 0;  // of CLOCK_MONOTONIC
};

class RecordingFile {
 public:
  // What is there already is replaced once the daemon has answered.
  explicit RecordingFile(std::string path) : path_(std::move(path)) {}

  // Until `stopped()`, which is asked some times a second with the figures so far. The file is
  // whole when this returns without an error, but for its end.
  Status record(const ControlClient& client,
                const std::function<bool(const RecordedFigures&)>& stopped);
  // Marks that were set meanwhile, and the end.
  Status end(std::span<const recording::Mark> marks = {});

  [[nodiscard]] const RecordedFigures& figures() const { return figures_; }

 private:
  Status append(const std::string& bytes);

  const std::string path_;
  bool begun_ = false;
  RecordedFigures figures_;
};

}  // namespace fallow::node
