#include "tmem/packing.h"

#include <lz4.h>
#include <xxh_x86dispatch.h>

#include <cstring>

namespace fallow::tmem {
namespace {

using Length = std::uint16_t;
static_assert(kSlotBytesMax < 1u << 16);

const char* chars(const std::byte* bytes) {
  return reinterpret_cast<const char*>(bytes);
}
char* chars(std::byte* bytes) {
  return reinterpret_cast<char*>(bytes);
}

}  // namespace

std::span<const std::byte> pack_page(const std::byte* page, PackBuffer& buffer) {
  const int bytes = LZ4_compress_default(chars(page), chars(buffer.bytes + sizeof(Length)),
                                         kPageSize, sizeof buffer.bytes - sizeof(Length));
  if (bytes <= 0) {
    return {};
  }
  const auto length = static_cast<Length>(bytes);
  std::memcpy(buffer.bytes, &length, sizeof length);
  return {buffer.bytes, sizeof length + length};
}

std::uint32_t packed_checksum(std::span<const std::byte> packed) {
  return static_cast<std::uint32_t>(XXH3_64bits_dispatch(packed.data(), packed.size()));
}

std::span<const std::byte> packed_in(std::span<const std::byte> slot) {
  Length length = 0;
  std::memcpy(&length, slot.data(), sizeof length);
  return sizeof length + length <= slot.size() ? slot.first(sizeof length + length)
                                               : std::span<const std::byte>();
}

bool unpack_page(std::span<const std::byte> packed, std::byte* page) {
  const auto body = packed.subspan(sizeof(Length));
  return LZ4_decompress_safe(chars(body.data()), chars(page), static_cast<int>(body.size()),
                             kPageSize) == kPageSize;
}

}  // namespace fallow::tmem
