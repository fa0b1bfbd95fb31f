// A guest in a virtual machine.
#pragma once

#include <memory>
#include <string>

#include "lab/guest.h"
#include "lab/qemu_command.h"

namespace fallow::lab {

struct MachineSettings {
  std::string name{};    // for files and messages
  std::string folder{};  // takes its socket and logs; must outlive the machine
  QemuSettings qemu{};   // console and channel are set here
};

Result<std::unique_ptr<Guest>> start_machine(LabLoop& loop, MachineSettings settings);

}  // namespace fallow::lab
