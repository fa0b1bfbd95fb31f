#include "memory/frame_table.h"

#include <nmmintrin.h>

#include <cstddef>
#include <cstring>

namespace fallow::memory {
namespace {

// Whole words of `bytes`, from the start of `data`.
std::uint32_t crc32c_words(const void* data, std::size_t bytes) {
  std::uint64_t crc = 0xffffffff;
  for (std::size_t at = 0; at < bytes; at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const char*>(data) + at, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  return static_cast<std::uint32_t>(crc);
}

}  // namespace

std::uint32_t seal_of(const FrameRecord& record) {
  static_assert(offsetof(FrameRecord, owner) == 32);
  const std::uint32_t words = crc32c_words(&record, offsetof(FrameRecord, owner));
  return _mm_crc32_u16(words, record.owner);
}

std::uint32_t seal_of(const TableHeader& header) {
  static_assert(offsetof(TableHeader, seal) % sizeof(std::uint64_t) == 0);
  return crc32c_words(&header, offsetof(TableHeader, seal));
}

}  // namespace fallow::memory
