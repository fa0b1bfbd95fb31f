// What a device counts, while others read it.
#pragma once

#include <atomic>
#include <cstdint>

#include "device/swap_device.h"

namespace fallow {

// As DeviceStatistics names them.
struct DeviceCounters {
  using Counter = std::atomic<std::uint64_t>;
  Counter memory_reads{0}, backing_reads{0}, hole_reads{0};
  Counter memory_writes{0}, backing_writes{0};
  Counter discards{0}, demotions{0};
  Counter backing_pages{0}, lost_pages{0}, io_errors{0};
  Counter backing_wait_ns{0};

  // relaxed: one writer, and readers want no more than the number.
  static void add(Counter& counter, std::uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }

  [[nodiscard]] DeviceStatistics read() const {
    const auto of = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
    return {.memory_reads = of(memory_reads),
            .backing_reads = of(backing_reads),
            .hole_reads = of(hole_reads),
            .memory_writes = of(memory_writes),
            .backing_writes = of(backing_writes),
            .discards = of(discards),
            .demotions = of(demotions),
            .backing_pages = of(backing_pages),
            .lost_pages = of(lost_pages),
            .io_errors = of(io_errors),
            .backing_wait_ns = of(backing_wait_ns)};
  }
};

}  // namespace fallow
