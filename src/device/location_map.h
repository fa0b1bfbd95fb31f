// Where each page of a device is: two bits a page, in a file in memory that outlives the daemon, so
// that the next life of it knows which pages are where, and which should be somewhere but are not.
//
// FORMAT, version 1, little-endian: MapHeader in the first page, then 32 pages to a 64-bit word.
// The file is made under another name and renamed when it is whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "base/units.h"

namespace fallow {

enum class PageLocation : std::uint8_t {
  kHole = 0,     // nowhere: reads as zeros
  kMemory = 1,   // in the device's pool
  kBacking = 2,  // in the backing store
  kLost = 3,     // acknowledged once, and gone: reads as an error
};

// The device's owner calls set(); anyone may call get(), and may lag behind.
class LocationMap {
 public:
  static constexpr std::size_t kDescriptionMax = 3584;

  static constexpr std::uint64_t kPagesPerWord = 32;
  static constexpr const char* kUnfinishedSuffix = "~";
  // The most pages that a map has room for.
  static constexpr std::uint64_t kPagesMax = std::uint64_t{1} << 32;

  // In ordinary memory: for a device that does not outlive its process.
  static Result<LocationMap> temporary(std::uint64_t pages);
  // A new file on tmpfs or hugetlbfs, all holes. `pool` is the device's; `description` is the
  // owner's word on what it needs to make the device again, up to kDescriptionMax bytes.
  static Result<LocationMap> create(const std::string& path, std::uint64_t pages, PoolId pool,
                                    std::string_view description);
  // The file of a life before. Errors: kNotFound; kFailed when it is damaged.
  static Result<LocationMap> open(const std::string& path);

  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  [[nodiscard]] PoolId pool() const;
  [[nodiscard]] std::string description() const;

  [[nodiscard]] PageLocation get(std::uint64_t page) const {
    // relaxed: each page stands for itself.
    const std::uint64_t word = std::atomic_ref(words_[page / 32]).load(std::memory_order_relaxed);
    return static_cast<PageLocation>(word >> shift(page) & 3);
  }
  void set(std::uint64_t page, PageLocation location) {
    const std::atomic_ref word(words_[page / 32]);
    const std::uint64_t others =
        word.load(std::memory_order_relaxed) & ~(std::uint64_t{3} << shift(page));
    // release, and the fence: what a killed process leaves behind is in this order.
    word.store(others | static_cast<std::uint64_t>(location) << shift(page),
               std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  // kPagesPerWord pages at once, from a multiple of that: true when all of them are at `location`.
  // Pages beyond the end count as holes.
  [[nodiscard]] bool all_at(std::uint64_t first, PageLocation location) const {
    constexpr std::uint64_t kOnes = 0x5555555555555555;
    return std::atomic_ref(words_[first / 32]).load(std::memory_order_relaxed) ==
           kOnes * static_cast<std::uint64_t>(location);
  }

  // A larger copy of this map takes its place; the pages beyond are holes.
  Result<LocationMap> grown(const std::string& path, std::uint64_t pages,
                            std::string_view description) const;
  [[nodiscard]] Result<LocationMap> grown_temporary(std::uint64_t pages) const;

 private:
  LocationMap() = default;
  static unsigned shift(std::uint64_t page) { return static_cast<unsigned>(page % 32 * 2); }
  static Result<LocationMap> create_with(const std::string& path, std::uint64_t pages, PoolId pool,
                                         std::string_view description, const LocationMap* content);

  Mapping file_;
  std::uint64_t* words_ = nullptr;
  std::uint64_t pages_ = 0;
};

}  // namespace fallow
