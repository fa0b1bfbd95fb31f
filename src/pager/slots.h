// Slots: the places where pages are that were taken out of RAM. A slot is a page of the pool with
// the daemon, or a page of the backing file; its number says which. A page's slot may be shared
// with a forked process's, and is free when nobody has it any more.
//
// Not synchronised: the pager's mutex guards it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <vector>

namespace fallow::pager {

// One word says all, so that a record of where a page is can be changed at one instruction.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0;
inline constexpr Slot kInFile = Slot{1} << 31;  // set: of the file

enum class Place : std::uint8_t { kNone, kFallow, kFile };
constexpr Place place_of(Slot slot) {
  return slot == kNoSlot ? Place::kNone : (slot & kInFile) != 0 ? Place::kFile : Place::kFallow;
}
// Of the page in the pool, or in the file.
constexpr std::uint32_t number_of(Slot slot) {
  return slot & ~kInFile;
}

class Slots {
 public:
  // `file_pages_max`: how many the backing file may have.
  explicit Slots(std::uint64_t file_pages_max = kInFile);

  // One with the daemon, with one owner. Prefers one whose page there is dead and not yet flushed:
  // the next put replaces it.
  Slot allocate();
  // Up to `count` in the file, rising, with one owner each, and next to each other as far as that
  // costs little: a run of pages is one request to the disk.
  std::vector<Slot> allocate_in_file(std::size_t count);
  void share(Slot slot) { ++entry(slot).owners; }
  // One owner less. True: it was the last.
  bool release(Slot slot);
  [[nodiscard]] bool shared(Slot slot) const { return entry(slot).owners > 1; }

  // A put or a write into a slot that was just allocated has ended.
  void filled(Slot slot);
  // A put was refused, which drops what the daemon had there.
  void refused(Slot slot) { entry(slot).stale = false; }

  // Up to `max` free slots whose pages the daemon still holds, for flushing; flushed() ends it.
  void take_dead(std::vector<Slot>& dead, std::size_t max);
  void flushed(Slot slot);

  [[nodiscard]] std::uint64_t in_fallow() const { return fallow_.pages; }
  [[nodiscard]] std::uint64_t in_file() const { return file_.pages; }
  [[nodiscard]] std::size_t dead() const { return dead_.size(); }

  // What a pager before this one has left in a slot, once for each page that has it.
  void restore(Slot slot);
  // After the last restore(): what nobody has is free, and the daemon may hold a page there.
  void restored();

 private:
  struct Entry {
    std::uint32_t owners = 0;
    bool full = false;
    bool stale = false;  // the daemon still holds a page that nobody wants
  };
  struct Half {
    std::vector<Entry> entries{1};  // by number; none has 0
    std::uint64_t pages = 0;        // how many are full
  };
  using Runs = std::map<std::uint32_t, std::uint32_t>;  // from the first number to behind the last
  Half& half(Slot slot) { return (slot & kInFile) != 0 ? file_ : fallow_; }
  Entry& entry(Slot slot) { return half(slot).entries[number_of(slot)]; }
  [[nodiscard]] const Entry& entry(Slot slot) const {
    return ((slot & kInFile) != 0 ? file_ : fallow_).entries[number_of(slot)];
  }
  Runs::iterator find_run(std::size_t count);
  bool extend_file(std::size_t count);
  void free_in_file(std::uint32_t first, std::uint32_t end);

  const std::uint64_t file_pages_max_;
  Half fallow_;
  std::priority_queue<Slot, std::vector<Slot>, std::greater<>> free_;  // with the daemon
  std::vector<Slot> dead_;
  Half file_;
  Runs free_runs_;
  std::uint64_t free_in_file_ = 0;
  std::uint32_t look_from_ = 0;  // for the next run
};

}  // namespace fallow::pager
