// How much of something all clients together may have: what none of them can use up for the daemon.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace fallow::ring {

// Any thread.
class Quota {
 public:
  explicit Quota(std::uint64_t most) : free_(most) {}

  bool take(std::uint64_t amount) {
    std::uint64_t free = free_.load(std::memory_order_relaxed);
    do {
      if (free < amount) {
        return false;
      }
    } while (!free_.compare_exchange_weak(free, free - amount, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::uint64_t amount) { free_.fetch_add(amount, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t free() const { return free_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> free_;
};

// A part of a quota, given back at the end. Keeps the quota alive.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept
      : quota_(std::move(other.quota_)), amount_(std::exchange(other.amount_, 0)) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(quota_, other.quota_);
    std::swap(amount_, other.amount_);
    return *this;
  }
  ~Lease() {
    if (quota_ != nullptr) {
      quota_->give_back(amount_);
    }
  }

  static std::optional<Lease> take(std::shared_ptr<Quota> quota, std::uint64_t amount) {
    if (!quota->take(amount)) {
      return std::nullopt;
    }
    Lease lease;
    lease.quota_ = std::move(quota);
    lease.amount_ = amount;
    return lease;
  }

 private:
  std::shared_ptr<Quota> quota_;
  std::uint64_t amount_ = 0;
};

}  // namespace fallow::ring
