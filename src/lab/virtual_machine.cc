#include "lab/virtual_machine.h"

namespace fallow::lab {

Result<std::unique_ptr<Guest>> start_machine(LabLoop& loop, MachineSettings settings) {
  GuestSettings guest{.name = settings.name, .folder = settings.folder, .program = "QEMU"};
  settings.qemu.console_path = guest.console_path();
  settings.qemu.channel_socket = guest.channel_socket();
  guest.command = qemu_command(settings.qemu);
  return Guest::start(loop, std::move(guest));
}

}  // namespace fallow::lab
