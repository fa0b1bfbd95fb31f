// What a workload writes into a page: words that depend on the seed, the pass and the number of the
// page, so that a page that comes back from swap in another's place, or from an earlier pass, is
// noticed. The words of a page all differ (their step is odd), so that no page is one repeated
// word, which Fallow would hold without a frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/mix.h"

namespace fallow::guests {

inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::size_t kPageWords = kPageSize / sizeof(std::uint64_t);
static_assert(kWordStep % 2 == 1, "an even step would repeat words");

struct PatternKey {
  std::uint64_t seed = 0;
  std::uint64_t pass = 0;
  std::uint64_t page = 0;
};

constexpr std::uint64_t first_word(const PatternKey& key) {
  return mix(mix(mix(key.seed + kWordStep) + key.pass) + key.page);
}

inline void fill_page(std::span<std::uint64_t, kPageWords> page, const PatternKey& key) {
  std::uint64_t word = first_word(key);
  for (std::uint64_t& slot : page) {
    slot = word;
    word += kWordStep;
  }
}

// The number of the first word that is not what fill_page() wrote; kPageWords when all are.
inline std::size_t first_mismatch(std::span<const std::uint64_t, kPageWords> page,
                                  const PatternKey& key) {
  std::uint64_t word = first_word(key);
  for (std::size_t i = 0; i < kPageWords; ++i) {
    if (page[i] != word) {
      return i;
    }
    word += kWordStep;
  }
  return kPageWords;
}

}  // namespace fallow::guests
