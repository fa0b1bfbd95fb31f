// One address space as the pager has it. Private to this room.
#pragma once

#include <deque>

#include "pager/pager.h"

namespace fallow::pager {

// Pages that may have been given back: to be looked at, but not before.
struct Pager::Removal {
  Run pages;
  std::uint64_t look_ns;
};

struct Pager::Space {
  Space(SpaceId number, UserFault faults_of, bool shared, std::shared_ptr<PageAccess> by)
      : id(number), faults(std::move(faults_of)), shared_memory(shared), access(std::move(by)) {}

  const SpaceId id;
  const UserFault faults;
  const bool shared_memory;
  // Its pages cannot leave without. Set once, under the mutex.
  std::shared_ptr<PageAccess> access;
  // Guarded by the pager's mutex, all of them.
  PageTable table;
  Streams streams;
  Neighbours neighbours;
  std::uint32_t thread = 0;          // that faulted last
  std::uint64_t counts_from_ns = 0;  // then what it had when it was forked counts; 0: never
  unsigned held = 0;                 // nothing leaves while it is not 0
  std::size_t leaving = 0;           // pages that the thread that evicts has in hand, or had
  std::uint64_t rests_until_ns = 0;  // it did not let its pages go, and is left alone
  std::deque<Removal> removed;       // in the order of their times
};

}  // namespace fallow::pager
