// Which page is to leave RAM next. Nobody tells a user-space pager that a page in RAM was used:
// only faults are seen. So pages leave in the order in which they came, and one that comes back
// soon after it left has shown that it is used: it goes to a second queue, which gives pages up
// only while it holds more than its share (2Q; T. Johnson, D. Shasha, 1994).
//
// Entries are not taken out when a page leaves otherwise: whoever takes one looks whether its stamp
// is still the page's.
//
// Not synchronised: the pager's mutex guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace fallow::pager {

struct Resident {
  std::uint32_t space;
  std::uint32_t stamp;
  std::uint64_t address;

  bool operator==(const Resident&) const = default;
};

class ResidentQueue {
 public:
  // `pages`: how many can be in RAM.
  explicit ResidentQueue(std::uint64_t pages) : pages_(pages) {}

  void set_pages(std::uint64_t pages) { pages_ = pages; }

  // `away`: how many pages have left RAM since this one did; none: it is new.
  void add(const Resident& page, std::optional<std::uint32_t> away);
  // Behind all others once more.
  void add_again(const Resident& page) { recent_.push_back(page); }
  std::optional<Resident> next();

 private:
  std::uint64_t pages_;
  std::deque<Resident> recent_;
  std::deque<Resident> used_;
};

}  // namespace fallow::pager
