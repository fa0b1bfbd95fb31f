#include "memory/page_copy.h"

#include <emmintrin.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

#include "base/units.h"

namespace fallow::memory {
namespace {

// A word of a page that someone else may be writing: one load, no assumption about a second one.
std::uint64_t load_once(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

void stream_page(std::byte* frame, const std::byte* source) {
  for (std::size_t at = 0; at < kPageSize; at += 64) {
    const auto* from = reinterpret_cast<const __m128i*>(source + at);
    auto* to = reinterpret_cast<__m128i*>(frame + at);
    const __m128i a = _mm_load_si128(from);
    const __m128i b = _mm_load_si128(from + 1);
    const __m128i c = _mm_load_si128(from + 2);
    const __m128i d = _mm_load_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  _mm_sfence();  // a non-temporal store is ordered before the record's state only by a fence
}

}  // namespace

std::uint64_t copy_into_frame(std::byte* frame, const std::byte* source) {
  alignas(64) std::byte page[kPageSize];  // stays in the first-level cache
  std::memcpy(page, source, kPageSize);
  stream_page(frame, page);
  return page_checksum(page);
}

void copy_from_frame(std::byte* destination, const std::byte* frame) {
  std::memcpy(destination, frame, kPageSize);
}

std::uint64_t page_checksum(const std::byte* page) {
  return XXH3_64bits(page, kPageSize);
}

std::optional<std::uint64_t> repeated_word(const std::byte* page) {
  const std::uint64_t word = load_once(page);
  // Most pages differ early, or else at the end (a page that is filled from the front).
  if (load_once(page + kPageSize - sizeof word) != word) {
    return std::nullopt;
  }
  for (std::size_t at = sizeof word; at < kPageSize; at += 8 * sizeof word) {
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < 8 && at + i * sizeof word < kPageSize; ++i) {
      difference |= load_once(page + at + i * sizeof word) ^ word;
    }
    if (difference != 0) {
      return std::nullopt;
    }
  }
  return word;
}

void fill_page(std::byte* destination, std::uint64_t word) {
  for (std::size_t at = 0; at < kPageSize; at += sizeof word) {
    std::memcpy(destination + at, &word, sizeof word);
  }
}

}  // namespace fallow::memory
