// Swap of the host's, for as long as a benchmark needs it. A benchmark that is killed leaves it:
// `swapoff PATH`. Needs root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/temp_dir.h"

namespace fallow::bench {

// The host swaps to the device or file, before any other, as long as this lives.
class HostSwap {
 public:
  static fallow::Result<std::unique_ptr<HostSwap>> on(const std::string& path);
  ~HostSwap();
  HostSwap(const HostSwap&) = delete;
  HostSwap& operator=(const HostSwap&) = delete;

 private:
  explicit HostSwap(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// A file to swap to, where files really go to a disk.
class SwapFile {
 public:
  static fallow::Result<std::unique_ptr<SwapFile>> create(std::uint64_t bytes);
  [[nodiscard]] std::string path() const { return folder_.path() + "/swap"; }

 private:
  SwapFile() = default;
  const TempDir folder_{"/var/tmp"};
};

}  // namespace fallow::bench
