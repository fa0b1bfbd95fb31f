#pragma once

#include <compare>
#include <cstdint>

#include "base/units.h"

namespace fallow::tmem {

// What names a page. A device uses one object and the page's number in it as index.
struct PageKey {
  PoolId pool;
  std::uint64_t object = 0;
  std::uint32_t index = 0;
  auto operator<=>(const PageKey&) const = default;
};

// Keyed, so that a guest that chooses its page numbers cannot choose the chain they land in.
class KeyHash {
 public:
  explicit KeyHash(std::uint64_t seed)
      : seed_low_(mix(seed ^ kOdd, kOdd2)), seed_high_(mix(seed ^ kOdd2, kOdd)) {}

  [[nodiscard]] std::uint64_t operator()(const PageKey& key) const {
    const std::uint64_t low = (std::uint64_t{key.pool.value} << 32) | key.index;
    return mix(mix(low ^ seed_low_, kOdd) ^ key.object ^ seed_high_, kOdd2);
  }

 private:
  static constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  static constexpr std::uint64_t kOdd2 = 0xd6e8feb86659fd93;

  // Both halves of the 128-bit product.
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t seed_low_;
  std::uint64_t seed_high_;
};

}  // namespace fallow::tmem
