// How much of the time that passes this process computes: 004, §4.7.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

#include "common/report.h"

namespace fallow::guests {

// From when it was made.
class UserTime {
 public:
  [[nodiscard]] std::uint64_t elapsed_ms() const { return now_ms() - start_ms_; }
  // In user mode, of a time that is taken for one millisecond when it is shorter; at most 100.
  [[nodiscard]] double percent() const {
    const double elapsed_us =
        1000.0 * static_cast<double>(std::max<std::uint64_t>(elapsed_ms(), 1));
    return std::min(100.0, 100.0 * static_cast<double>(user_us() - start_us_) / elapsed_us);
  }

 private:
  static std::uint64_t user_us() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_utime.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(usage.ru_utime.tv_usec);
  }

  std::uint64_t start_ms_ = now_ms();
  std::uint64_t start_us_ = user_us();
};

}  // namespace fallow::guests
