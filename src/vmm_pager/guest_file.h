// The file of shared memory that is a VM's RAM.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"
#include "vmm_pager/state_file.h"

namespace fallow::vmm_pager {

struct GuestFile {
  UniqueFd fd;
  FileIdentity identity;
};

// kInvalid: pages cannot be taken out of it one by one.
Result<GuestFile> open_guest_file(const std::string& path);

// Of a file that is there; else all zeros.
FileIdentity identity_of(const std::string& path);

}  // namespace fallow::vmm_pager
