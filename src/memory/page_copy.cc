#include "memory/page_copy.h"

#include <emmintrin.h>
#include <xxh_x86dispatch.h>

#include <cstring>

#include "base/units.h"

namespace fallow::memory {
namespace {

constexpr std::size_t kLine = 64;

// One cache line in registers. (A std::array would drop the vector type's attributes.)
struct Line {
  __m128i a, b, c, d;
};

Line load_line(const std::byte* at) {
  const auto* from = reinterpret_cast<const __m128i*>(at);
  return {_mm_loadu_si128(from), _mm_loadu_si128(from + 1), _mm_loadu_si128(from + 2),
          _mm_loadu_si128(from + 3)};
}

void store_line(std::byte* at, const Line& line) {
  auto* to = reinterpret_cast<__m128i*>(at);
  _mm_store_si128(to, line.a);
  _mm_store_si128(to + 1, line.b);
  _mm_store_si128(to + 2, line.c);
  _mm_store_si128(to + 3, line.d);
}

void stream_line(std::byte* at, const Line& line) {
  auto* to = reinterpret_cast<__m128i*>(at);
  _mm_stream_si128(to, line.a);
  _mm_stream_si128(to + 1, line.b);
  _mm_stream_si128(to + 2, line.c);
  _mm_stream_si128(to + 3, line.d);
}

}  // namespace

std::uint64_t copy_into_frame(std::byte* frame, const std::byte* source) {
  // The source is read once; this copy, which stays in the first-level cache, is what is summed.
  alignas(kLine) std::byte page[kPageSize];
  for (std::size_t at = 0; at < kPageSize; at += kLine) {
    const Line line = load_line(source + at);
    stream_line(frame + at, line);
    store_line(page + at, line);
  }
  const std::uint64_t checksum = page_checksum(page);
  _mm_sfence();  // a non-temporal store is ordered before the record's state only by a fence
  return checksum;
}

void copy_from_frame(std::byte* destination, const std::byte* frame) {
  std::memcpy(destination, frame, kPageSize);
}

std::uint64_t page_checksum(const std::byte* page) {
  return XXH3_64bits_dispatch(page, kPageSize);
}

// A page is one repeated word when it equals itself shifted by a word. A guest that changes it
// meanwhile gets some word that stood there: its own race, and nobody else's page.
std::optional<std::uint64_t> repeated_word(const std::byte* page) {
  std::uint64_t words[2];
  std::memcpy(words, page, sizeof words);
  constexpr std::size_t kShift = sizeof words[0];
  const bool repeats =
      words[0] == words[1] && std::memcmp(page, page + kShift, kPageSize - kShift) == 0;
  return repeats ? std::optional(words[0]) : std::nullopt;
}

void fill_page(std::byte* destination, std::uint64_t word) {
  for (std::size_t at = 0; at < kPageSize; at += sizeof word) {
    std::memcpy(destination + at, &word, sizeof word);
  }
}

}  // namespace fallow::memory
