// Slots: the places where pages that were taken out of RAM are. A slot is a page of the pool with
// the daemon, or a page of the backing file, under the same number. A page's slot may be shared
// with a forked process's, and is free when nobody has it any more.
//
// Not synchronised: the pager's mutex guards it.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace fallow::pager {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0;

enum class Place : std::uint8_t { kNone, kFallow, kFile };

class Slots {
 public:
  Slots();

  // A slot with one owner. Prefers one whose page with the daemon is dead and not yet flushed:
  // the next put replaces it.
  Slot allocate();
  void share(Slot slot) { ++entries_[slot].owners; }
  // One owner less.
  void release(Slot slot);
  [[nodiscard]] bool shared(Slot slot) const { return entries_[slot].owners > 1; }

  [[nodiscard]] Place place(Slot slot) const { return entries_[slot].place; }
  // A put or a write into a slot that was just allocated has ended.
  void set_place(Slot slot, Place place);

  // Up to `max` free slots whose pages the daemon still holds, for flushing; flushed() ends it.
  void take_dead(std::vector<Slot>& dead, std::size_t max);
  void flushed(Slot slot);

  [[nodiscard]] std::uint64_t in_fallow() const { return in_fallow_; }
  [[nodiscard]] std::uint64_t in_file() const { return in_file_; }
  [[nodiscard]] std::size_t dead() const { return dead_.size(); }

  // What a pager before this one has left: `slot` is at `place`, once for each call.
  void restore(Slot slot, Place place);
  // After the last restore(): what nobody has is free, and the daemon may hold a page there.
  void restored();

 private:
  struct Entry {
    std::uint32_t owners = 0;
    Place place = Place::kNone;
    bool stale = false;  // the daemon still holds a page that nobody wants
  };
  void count(Place place, int by);

  std::vector<Entry> entries_;
  // The lowest first, as a backing file may have an end.
  std::priority_queue<Slot, std::vector<Slot>, std::greater<>> free_;
  std::vector<Slot> dead_;
  std::uint64_t in_fallow_ = 0;
  std::uint64_t in_file_ = 0;
};

}  // namespace fallow::pager
