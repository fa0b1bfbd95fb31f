// Brings in the pages around one that was faulted on, where faults have no order but those around
// are used as well. Whether they are cannot be seen of pages that are in RAM; so now and then one
// page of such a block is left out, and whether it is faulted on soon tells for the block.
//
// Not synchronised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fallow::pager {

class Neighbours {
 public:
  static constexpr std::uint32_t kBlockMost = 32;

  // A block of pages, aligned to its size, to be brought in but for one of them.
  struct Plan {
    std::uint64_t begin = 0;  // number of a page
    std::uint32_t pages = 0;  // 0: nothing but the page itself
    std::uint64_t left_out = UINT64_MAX;
    std::uint32_t proved = 0;  // pages brought in earlier that turned out to be used, about
  };
  // `page`: the number of the page that was faulted on.
  Plan fault(std::uint64_t page);
  // So many of the plan were really brought in.
  void brought(std::uint32_t pages);

 private:
  static constexpr std::uint32_t kBlockFirst = 8;
  static constexpr std::uint32_t kBlockLeast = 4;
  static constexpr std::uint32_t kJudged = 32;  // pages left out, for each judgement
  static constexpr std::uint32_t kRest = 512;   // faults without blocks, when they do not pay
  void judge(bool used);

  struct LeftOut {
    std::uint64_t page = 0;      // its number plus one; 0: none
    std::uint32_t tells_of = 0;  // pages: those of its block, and of the one before
  };
  std::array<LeftOut, 256> left_out_{};
  std::size_t next_ = 0;
  LeftOut* current_ = nullptr;  // of the last plan
  std::uint32_t untold_ = 0;    // pages brought in that no page left out tells of yet
  std::uint32_t block_ = kBlockFirst;
  std::uint32_t judged_ = 0;
  std::uint32_t used_ = 0;
  std::uint32_t resting_ = 0;
  std::uint64_t turns_ = 0;
};

}  // namespace fallow::pager
