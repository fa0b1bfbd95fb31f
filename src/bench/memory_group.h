// A memory control group of the benchmark's own: what its processes use beyond the limit is
// swapped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace fallow::bench {

// Needs root. One thread.
class MemoryGroup {
 public:
  // Errors: kFailed when the host has no memory controller that we may use.
  static fallow::Result<std::unique_ptr<MemoryGroup>> create(std::uint64_t limit_bytes);
  // Its processes must have ended.
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  // Moves the calling process into the group. False when it failed.
  [[nodiscard]] bool join() const;

 private:
  explicit MemoryGroup(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace fallow::bench
