// One address space as the pager has it. Private to this room.
#pragma once

#include "pager/pager.h"

namespace fallow::pager {

struct Pager::Space {
  SpaceId id;
  UserFault faults;
  std::unique_ptr<PageAccess> access;
  bool shared_memory;
  PageTable table;  // guarded by the pager's mutex
  Streams streams;  // likewise
};

}  // namespace fallow::pager
