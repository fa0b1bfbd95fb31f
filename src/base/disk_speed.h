// The speed of a disk that is not there: how long requests would take on it. So that a machine with
// one kind of disk shows what another would make of a load. It is emulated, and every output that
// names it says so: described().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

class DiskSpeed {
 public:
  // The disk that is there: nothing is held back.
  DiskSpeed() = default;

  // "disk"; "hdd": 8 ms for each request that does not begin where the one before it ended, and
  // 120 MB/s, one request at a time; "ssd": 120 us for each request, which overlap, and 500 MB/s
  // for all; "latency=2ms,bandwidth=200M": as "ssd", with other numbers.
  static Result<DiskSpeed> parse(std::string_view text);

  [[nodiscard]] bool emulated() const { return kind_ != Kind::kDisk; }
  // How many bytes it moves while one more request would only begin. 0: not known.
  [[nodiscard]] std::uint64_t bytes_per_latency() const;
  // What parse() takes.
  [[nodiscard]] std::string spec() const;
  // For people: "hdd (emulated)".
  [[nodiscard]] std::string described() const;

 private:
  friend class DiskModel;
  enum class Kind : std::uint8_t { kDisk, kHdd, kSsd, kOther };
  static Result<DiskSpeed> parse_numbers(std::string_view text);

  Kind kind_ = Kind::kDisk;
  std::uint64_t latency_ns_ = 0;
  std::uint64_t bytes_per_second_ = 0;
};

// One disk of such a speed. Reads and writes take the same time. Not synchronised.
class DiskModel {
 public:
  explicit DiskModel(const DiskSpeed& speed) : speed_(speed) {}

  // When a request is done that is made now; no earlier than now. Requests come in the order of
  // their times.
  std::uint64_t done_ns(std::uint64_t now_ns, std::uint64_t offset, std::uint64_t bytes);

 private:
  DiskSpeed speed_;
  std::uint64_t busy_until_ns_ = 0;
  std::uint64_t head_ = ~std::uint64_t{0};  // where the request before ended; at first nowhere
};

}  // namespace fallow
