// Looks for order in the pages that are faulted on: several streams at once, each with a stride. A
// stream that goes on gets twice as many pages brought in ahead of it as before, and one that stops
// gets none.
//
// Whether a page that was brought in ahead was used cannot be seen; that the stream faults next
// just behind them tells that they were, nearly always. When too few streams go on, all prefetching
// rests for a while.
//
// Not synchronised.
#pragma once

#include <array>
#include <cstdint>

namespace fallow::pager {

class Streams {
 public:
  static constexpr std::uint32_t kAheadMost = 64;

  struct Plan {
    std::int64_t stride = 0;   // pages
    std::uint32_t ahead = 0;   // how many, each a stride after the one before
    std::uint32_t proved = 0;  // pages brought in earlier that turned out to be used
  };
  // `page`: the number of the page that was faulted on.
  Plan fault(std::uint64_t page);
  // So many of the plan were really brought in; the stream goes on behind them.
  void brought(std::uint32_t pages);

 private:
  static constexpr std::int64_t kStrideMost = 16;
  struct Stream {
    std::uint64_t last = 0;  // the page that was faulted on, or brought in, last
    std::int64_t stride = 0;
    std::uint32_t length = 0;  // faults that followed each other
    std::uint32_t ahead = 0;   // of the window under test
    std::uint64_t used_at = 0;
  };
  Stream& stream_of(std::uint64_t page);
  void judge(std::uint32_t pages, bool paid);

  std::array<Stream, 16> streams_{};
  Stream* current_ = nullptr;
  std::uint64_t now_ = 0;
  std::uint32_t tried_ = 0;  // pages, of late
  std::uint32_t paid_ = 0;
  std::uint32_t resting_ = 0;  // faults without prefetching
};

}  // namespace fallow::pager
