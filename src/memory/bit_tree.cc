#include "memory/bit_tree.h"

#include <bit>

namespace fallow::memory {

BitTree::BitTree(std::uint64_t capacity) {
  std::uint64_t words = capacity;
  do {
    words = (words + 63) / 64;
    levels_.emplace_back(words, 0);
  } while (words > 1);
}

bool BitTree::contains(std::uint64_t member) const {
  return (levels_[0][member / 64] >> (member % 64) & 1) != 0;
}

void BitTree::insert(std::uint64_t member) {
  for (auto& level : levels_) {
    std::uint64_t& word = level[member / 64];
    const bool was_empty = word == 0;
    word |= std::uint64_t{1} << (member % 64);
    if (!was_empty) {
      return;  // the levels above know already
    }
    member /= 64;
  }
}

void BitTree::erase(std::uint64_t member) {
  for (auto& level : levels_) {
    std::uint64_t& word = level[member / 64];
    word &= ~(std::uint64_t{1} << (member % 64));
    if (word != 0) {
      return;
    }
    member /= 64;
  }
}

std::optional<std::uint64_t> BitTree::first() const {
  if (levels_.back().empty() || levels_.back()[0] == 0) {
    return std::nullopt;
  }
  std::uint64_t at = 0;
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
    at = at * 64 + static_cast<std::uint64_t>(std::countr_zero((*level)[at]));
  }
  return at;
}

}  // namespace fallow::memory
