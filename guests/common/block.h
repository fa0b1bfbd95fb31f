// A block of fresh zero pages, given back to the kernel at the end.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <span>

#include "common/pattern.h"

namespace fallow::guests {

class Block {
 public:
  explicit Block(std::uint64_t bytes)
      : bytes_(bytes),
        memory_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Block() {
    if (valid()) {
      munmap(memory_, bytes_);
    }
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  [[nodiscard]] bool valid() const { return memory_ != MAP_FAILED; }
  [[nodiscard]] std::uint64_t pages() const { return bytes_ / kPageSize; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::uint64_t, kPageWords> page(std::uint64_t number) {
    return std::span<std::uint64_t, kPageWords>(
        static_cast<std::uint64_t*>(memory_) + number * kPageWords, kPageWords);
  }

 private:
  std::uint64_t bytes_;
  void* memory_;
};

}  // namespace fallow::guests
