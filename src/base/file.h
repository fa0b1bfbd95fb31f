// Owners of what the kernel hands out: file descriptors and mappings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace fallow {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// A mapping of a file, unmapped at the end.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // MAP_SHARED, readable and writable. `offset` must be a multiple of the page size.
  static Result<Mapping> map_shared(int fd, std::uint64_t offset, std::size_t size);
  // Zeros, private to the process; parts that are never written cost nothing.
  static Result<Mapping> anonymous(std::size_t size);

  [[nodiscard]] std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  explicit Mapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// All of `to` from the file's byte `offset` on. False: there is less, or it cannot be read.
bool read_at(int fd, std::span<std::byte> to, std::uint64_t offset);

// The whole of a small text file; refuses more than `size_max` bytes.
Result<std::string> read_text_file(const std::string& path, std::size_t size_max);

enum class UnixSocket { kStream, kSeqpacket };

// A Unix socket that listens at `path`, mode 0600, never blocking. A stale socket that no
// process listens on is replaced; anything else at `path` is an error that says what it is.
Result<UniqueFd> listen_unix(const std::string& path, int backlog,
                             UnixSocket type = UnixSocket::kStream);

}  // namespace fallow
