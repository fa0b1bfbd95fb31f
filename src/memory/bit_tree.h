// A set of small integers that finds its smallest member in a few steps: a bitmap with a summary
// bitmap above it, and so on, 64 to 1. About one bit a member.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace fallow::memory {

// Not safe for concurrent use.
class BitTree {
 public:
  explicit BitTree(std::uint64_t capacity);

  [[nodiscard]] bool contains(std::uint64_t member) const;
  void insert(std::uint64_t member);
  void erase(std::uint64_t member);
  [[nodiscard]] std::optional<std::uint64_t> first() const;

 private:
  // levels_[0] is the bitmap itself; a bit of levels_[k+1] says that a word of levels_[k] is not 0.
  std::vector<std::vector<std::uint64_t>> levels_;
};

}  // namespace fallow::memory
