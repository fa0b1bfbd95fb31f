// What a pager knows of the pages of one address space: for each watched page whether it is in RAM,
// where it is else, and what is happening to it.
//
// Not synchronised: the pager's mutex guards it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/units.h"
#include "pager/slots.h"

namespace fallow::pager {

enum class PageState : std::uint8_t {
  kUntouched = 0,  // never written, or given back: reads as zeros
  kFilling,        // a thread is bringing it into RAM
  kResident,       // in RAM
  kSaving,         // in RAM and write-protected, while it is copied to its slot
  kDropping,       // its slot has it, and it is being taken out of RAM
  kStored,         // in its slot only
};

// Pages of shared memory may be in a file, for a pager that comes after this one was killed. What
// it needs of them is right at any instruction: a page that is not in RAM is in `slot` if it is
// kStored, kDropping or kFilling and has one, and else it is zeros. (One that is in RAM is as it is
// there, whatever is written here.)
struct Page {
  Slot slot = kNoSlot;        // kResident: it is protected, and this still has its content
  std::uint32_t left_at = 0;  // how many pages had been taken out when it was
  std::uint32_t stamp = 0;    // of its place in the queue of resident pages
  PageState state = PageState::kUntouched;
  bool is_protected : 1 = false;  // a write will tell
  bool wanted : 1 = false;        // somebody waits for the end of kDropping
  bool uncounted : 1 = false;     // kResident: beside the limit, and it does not leave
};

class PageTable {
 public:
  // Pages from `begin` on, all untouched; they are in no other range.
  Status add(std::uint64_t begin, std::uint64_t pages);
  // As `pages` says, which are in `memory`.
  void add(std::uint64_t begin, std::shared_ptr<const Mapping> memory, std::span<Page> pages);
  // Those of these pages that are in a range are in none any more. What is left of a range stays
  // where it is.
  void remove(std::uint64_t begin, std::uint64_t pages);

  // nullptr: the address is in no range.
  Page* find(std::uint64_t address);

  // A part of a range, or all of it.
  struct Span {
    std::uint64_t begin;
    std::span<Page> pages;
    [[nodiscard]] std::uint64_t address(const Page& page) const {
      return begin + static_cast<std::uint64_t>(&page - pages.data()) * kPageSize;
    }
  };
  // What is in a range of the `pages` pages from `begin` on, in order.
  [[nodiscard]] std::vector<Span> within(std::uint64_t begin, std::uint64_t pages) const;
  [[nodiscard]] std::vector<Span> all() const;

 private:
  struct Range {
    std::shared_ptr<const Mapping> memory;  // Page[]; zeros are untouched pages
    std::span<Page> pages;
  };
  std::map<std::uint64_t, Range> ranges_;  // by address
};

}  // namespace fallow::pager
