#include "memory/buddy_allocator.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace fallow::memory {

BuddyAllocator::BuddyAllocator(std::uint32_t frames) : frames_(frames) {
  for (unsigned order = 0; order <= kOrderMax; ++order) {
    free_.emplace_back((std::uint64_t{frames} >> order) + 1);
  }
}

void BuddyAllocator::free_run(std::uint32_t first, std::uint32_t frames) {
  const std::uint32_t end = first + frames;
  while (first < end) {
    const auto aligned = first == 0 ? kOrderMax : static_cast<unsigned>(std::countr_zero(first));
    const auto fitting = static_cast<unsigned>(std::bit_width(end - first)) - 1;
    const unsigned order = std::min({aligned, fitting, kOrderMax});
    free(first, order);
    first += std::uint32_t{1} << order;
  }
}

std::optional<std::uint32_t> BuddyAllocator::allocate(unsigned order) {
  CHECK(order <= kOrderMax);
  for (unsigned from = order; from <= kOrderMax; ++from) {
    const auto block = free_[from].first();
    if (!block) {
      continue;
    }
    free_[from].erase(*block);
    const auto first = static_cast<std::uint32_t>(*block << from);
    // Split down: the upper half of each step stays free.
    for (unsigned half = from; half-- > order;) {
      free_[half].insert((std::uint64_t{first} >> half) + 1);
    }
    free_frames_ -= std::uint64_t{1} << order;
    return first;
  }
  return std::nullopt;
}

void BuddyAllocator::free(std::uint32_t first, unsigned order) {
  CHECK(order <= kOrderMax && first % (std::uint32_t{1} << order) == 0);
  CHECK(std::uint64_t{first} + (std::uint64_t{1} << order) <= frames_);
  DCHECK(!is_free(first, order));
  free_frames_ += std::uint64_t{1} << order;
  std::uint64_t block = first >> order;
  while (order < kOrderMax && free_[order].contains(block ^ 1)) {
    free_[order].erase(block ^ 1);
    block >>= 1;
    ++order;
  }
  free_[order].insert(block);
}

std::optional<unsigned> BuddyAllocator::largest_free_order() const {
  for (unsigned order = kOrderMax + 1; order-- > 0;) {
    if (free_[order].first()) {
      return order;
    }
  }
  return std::nullopt;
}

bool BuddyAllocator::is_free(std::uint32_t first, unsigned order) const {
  for (unsigned at = order; at <= kOrderMax; ++at) {
    if (free_[at].contains(std::uint64_t{first} >> at)) {
      return true;
    }
  }
  return false;
}

}  // namespace fallow::memory
