#include "device/segments.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fallow {
namespace {

// Calls visit(piece, length) for each piece of [at, at + length).
template <typename Visit>
void for_each_piece(std::span<const iovec> segments, std::uint64_t at, std::uint64_t length,
                    Visit visit) {
  for (const iovec& segment : segments) {
    if (length == 0) {
      return;
    }
    if (at >= segment.iov_len) {
      at -= segment.iov_len;
      continue;
    }
    const std::uint64_t piece = std::min<std::uint64_t>(length, segment.iov_len - at);
    visit(static_cast<std::byte*>(segment.iov_base) + at, piece);
    length -= piece;
    at = 0;
  }
  CHECK(length == 0);  // front ends check that the segments add up
}

}  // namespace

void gather(std::span<const iovec> segments, std::uint64_t at, std::byte* to,
            std::uint64_t length) {
  for_each_piece(segments, at, length, [&to](const std::byte* piece, std::uint64_t bytes) {
    std::memcpy(to, piece, bytes);
    to += bytes;
  });
}

void scatter(std::span<const iovec> segments, std::uint64_t at, const std::byte* from,
             std::uint64_t length) {
  for_each_piece(segments, at, length, [&from](std::byte* piece, std::uint64_t bytes) {
    std::memcpy(piece, from, bytes);
    from += bytes;
  });
}

std::byte* contiguous(std::span<const iovec> segments, std::uint64_t at, std::uint64_t length) {
  std::byte* found = nullptr;
  for_each_piece(segments, at, length, [&](std::byte* piece, std::uint64_t bytes) {
    found = bytes == length ? piece : nullptr;
  });
  return found;
}

}  // namespace fallow
