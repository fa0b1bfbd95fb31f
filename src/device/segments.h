// Moving bytes between a request's segments (guest memory, in pieces) and flat buffers.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace fallow {

// Copies `length` bytes at offset `at` of the segments' concatenation into `to`.
void gather(std::span<const iovec> segments, std::uint64_t at, std::byte* to, std::uint64_t length);

// Copies `length` bytes from `from` into the segments at offset `at`.
void scatter(std::span<const iovec> segments, std::uint64_t at, const std::byte* from,
             std::uint64_t length);

// Where `length` bytes at offset `at` lie in one piece; null when they are spread over two
// segments.
std::byte* contiguous(std::span<const iovec> segments, std::uint64_t at, std::uint64_t length);

}  // namespace fallow
