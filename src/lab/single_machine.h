// One guest on a Fallow disk or a pager that is already there: to try a disk by hand, and for
// tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/accelerator.h"
#include "lab/workload_line.h"

namespace fallow::lab {

struct SingleMachineSettings {
  std::string disk_socket{};   // vhost-user-blk; or
  std::string nbd_socket{};    // an NBD server's; or no disk, and
  std::string pager_socket{};  // a pager of its RAM, which is
  std::string memory_path{};   // in this file
  std::string pager_library{};
  std::uint64_t ram_bytes = 0;
  AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
  std::string image_folder{};
  std::vector<std::string> workload{};  // program and arguments
};

struct SingleMachineResult {
  Accelerator accelerator = Accelerator::kTcg;
  std::uint64_t exit_code = 0;
  GuestMemory before{};
  GuestMemory after{};
};

// Boots the guest, turns its swap on if it has a disk, runs the workload to its end and prints what
// it prints.
Result<SingleMachineResult> run_single_machine(LabLoop& loop,
                                               const SingleMachineSettings& settings);

}  // namespace fallow::lab
