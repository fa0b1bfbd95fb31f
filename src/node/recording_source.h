// A recording while it is made: what the control service hands to whoever asked for it.
#pragma once

#include <cstdint>
#include <string>

#include "recording/operations.h"

namespace fallow::node {

// What has come since the last of these: blocks of a recording's file.
struct RecordedPart {
  std::string blocks{};
  std::uint64_t operations = 0;  // in them
  std::uint64_t notes = 0;       // of clients, the same
  std::uint64_t missing = 0;     // dropped since the beginning, as nobody took them in time
};

// The recording ends with it. One thread at a time.
class RecordingSource {
 public:
  virtual ~RecordingSource() = default;
  [[nodiscard]] virtual recording::NodeNote node() const = 0;
  virtual RecordedPart take() = 0;
};

}  // namespace fallow::node
