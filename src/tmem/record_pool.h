// Those of a run of the frame table's records that are free: of records that no frame stands
// behind.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "memory/bit_tree.h"

namespace fallow::tmem {

// Any thread.
class RecordPool {
 public:
  // Records [first, first + count), none of them free yet.
  RecordPool(std::uint32_t first, std::uint32_t count) : first_(first), free_(count) {}

  // May lag behind by what other threads are doing at the moment.
  [[nodiscard]] bool empty() const { return count_.load(std::memory_order_relaxed) == 0; }

  std::optional<std::uint32_t> take() {
    if (empty()) {
      return std::nullopt;
    }
    const std::lock_guard lock(mutex_);
    const auto record = free_.first();
    if (!record) {
      return std::nullopt;
    }
    free_.erase(*record);
    count_.fetch_sub(1, std::memory_order_relaxed);
    return static_cast<std::uint32_t>(first_ + *record);
  }

  void give(std::uint32_t record) {
    const std::lock_guard lock(mutex_);
    free_.insert(record - first_);
    count_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  const std::uint32_t first_;
  std::mutex mutex_;
  memory::BitTree free_;  // guarded by mutex_
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace fallow::tmem
