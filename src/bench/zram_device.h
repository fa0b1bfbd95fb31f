// The kernel's compressed RAM disk, made for a benchmark and removed after it. A benchmark that is
// killed leaves it: `echo 1 > /sys/block/zramN/reset; echo N > /sys/class/zram-control/hot_remove`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace fallow::bench {

// Past the page cache. One thread.
class ZramDevice {
 public:
  // Errors: kFailed when the kernel has no zram, or we may not use it.
  static fallow::Result<std::unique_ptr<ZramDevice>> create(const std::string& algorithm,
                                                            std::uint64_t bytes);
  ~ZramDevice();
  ZramDevice(const ZramDevice&) = delete;
  ZramDevice& operator=(const ZramDevice&) = delete;

  [[nodiscard]] std::string path() const { return "/dev/zram" + number_; }
  // Page-aligned, in memory and on the device. False when it failed.
  bool write(std::span<const std::byte> data, std::uint64_t offset);
  bool read(std::span<std::byte> data, std::uint64_t offset);
  void discard_all();
  // Bytes of memory that hold what is stored, and its bytes before compression.
  struct Use {
    std::uint64_t original = 0;
    std::uint64_t memory = 0;
  };
  [[nodiscard]] fallow::Result<Use> use() const;

 private:
  explicit ZramDevice(std::string number) : number_(std::move(number)) {}
  [[nodiscard]] std::string attribute(const std::string& name) const {
    return "/sys/block/zram" + number_ + "/" + name;
  }
  Status open(const std::string& algorithm, std::uint64_t bytes);

  std::string number_;
  std::uint64_t bytes_ = 0;
  UniqueFd fd_;
};

}  // namespace fallow::bench
