// What the map of a VM's device says of the VM (LocationMap::description), so that the daemon's
// next life can make the same disk again without being told by anybody.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "node/views.h"
#include "ring/abi.h"

namespace fallow::node {

struct VmRecord {
  VmRequest request;
  std::uint32_t block_size = 4096;
  ring::Secret identity{};  // of the disk: another one when it begins anew
};

// JSON.
std::string describe(const VmRecord& record);
// Errors: kFailed for anything that describe() has not written.
Result<VmRecord> read_vm_record(const std::string& description);

}  // namespace fallow::node
