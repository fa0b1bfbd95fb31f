// Pages of a request.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/units.h"
#include "device/block_device.h"

namespace fallow {

constexpr std::uint64_t page_of(std::uint64_t byte) {
  return byte >> kPageShift;
}

// What one page has to do with a request.
struct PageRange {
  std::uint64_t page;
  std::uint64_t request_at;  // where in the request it begins
  std::uint64_t page_at;     // where in the page
  std::uint64_t bytes;

  static PageRange at_cursor(const IoRequest& request) {
    const std::uint64_t byte = request.offset + request.cursor;
    const std::uint64_t page_at = byte % kPageSize;
    const std::uint64_t left = request.length - request.cursor;
    return {page_of(byte), request.cursor, page_at,
            std::min<std::uint64_t>(kPageSize - page_at, left)};
  }
  [[nodiscard]] bool whole() const { return bytes == kPageSize; }
};

}  // namespace fallow
