// Moving pages: the copy into and out of frames, the checksum, and the test for pages of one word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace fallow::memory {

// Copies one page from `source` into `frame` and returns page_checksum() of the bytes that arrived.
// `source` may be changed by a hostile guest meanwhile: it is read once, and the checksum is of the
// copy. `frame` is page-aligned. The stores bypass the cache (a parked page is cold); they are
// fenced before this returns.
std::uint64_t copy_into_frame(std::byte* frame, const std::byte* source);

// Copies one page out of a frame.
void copy_from_frame(std::byte* destination, const std::byte* frame);

// The checksum that the frame table keeps: XXH3, 64 bits, over the page.
std::uint64_t page_checksum(const std::byte* page);

// The word that the page consists of, when all 512 are the same. Most other pages are told by
// their first two words.
std::optional<std::uint64_t> repeated_word(const std::byte* page);

// Fills a page with one word.
void fill_page(std::byte* destination, std::uint64_t word);

}  // namespace fallow::memory
