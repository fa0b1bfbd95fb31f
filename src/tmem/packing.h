// Pages compressed with LZ4 into what a slot holds: the length of the compressed bytes in two
// bytes, then those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tmem/slab.h"

namespace fallow::tmem {

struct PackBuffer {
  alignas(64) std::byte bytes[kSlotBytesMax];
};

// The page in packed form, in `buffer`; empty when no slot is large enough for it. Uses 16 KiB of
// stack, and nothing else.
std::span<const std::byte> pack_page(const std::byte* page, PackBuffer& buffer);

// Covers the packed form, its length included.
std::uint32_t packed_checksum(std::span<const std::byte> packed);

// The packed form at the start of a slot; empty when its length cannot be.
std::span<const std::byte> packed_in(std::span<const std::byte> slot);

// False, with the page in any state, when `packed` is not a whole page's form.
bool unpack_page(std::span<const std::byte> packed, std::byte* page);

}  // namespace fallow::tmem
