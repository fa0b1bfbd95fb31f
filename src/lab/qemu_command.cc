#include "lab/qemu_command.h"

namespace fallow::lab {
namespace {

// Under TCG a guest of 2 vCPUs' worth of features boots slower than a plain one: the kernel times
// every instruction set it finds. Measured to the agent's first word (Debian 12, two cores):
// q35/max 2.1 s, pc/max 2.4 s, pc/Nehalem 1.9 s, the same with the kernel's waits switched off
// below 1.8 s; a larger tb-size changes nothing.
std::vector<std::string> machine_arguments(Accelerator accelerator) {
  if (accelerator == Accelerator::kKvm) {
    return {"-machine", "pc,memory-backend=ram", "-accel", "kvm", "-cpu", "host"};
  }
  return {"-machine", "pc,hpet=off,memory-backend=ram", "-accel", "tcg", "-cpu", "Nehalem"};
}

// rootfstype=ramfs: the initramfs' own files are never swapped. Transparent huge pages are off, so
// that the guest swaps page by page, as the kernels of 004 did.
constexpr const char* kKernelCommandLine =
    "console=ttyS0 quiet loglevel=4 panic=-1 rootfstype=ramfs transparent_hugepage=never "
    "mitigations=off nokaslr";

// The emulated time stamp counter is calibrated at boot, and on a busy host wrong by several times:
// the guests' own step times would be too. The ACPI timer counts the host's time.
std::string kernel_command_line(Accelerator accelerator) {
  const std::string common = kKernelCommandLine;
  return accelerator == Accelerator::kKvm ? common : common + " no_timer_check clocksource=acpi_pm";
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// QEMU reads "a,b" in an option as two: a comma in a path is written twice.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char letter : path) {
    text += letter;
    if (letter == ',') {
      text += ',';
    }
  }
  return text;
}

}  // namespace

std::string describe(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg (emulated CPU: times are not native)";
}

std::string short_name(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg";
}

std::vector<std::string> qemu_command(const QemuSettings& settings) {
  std::vector<std::string> command;
  if (!settings.pager_socket.empty()) {
    append(command, {"env", "LD_PRELOAD=" + settings.pager_library,
                     "FALLOW_PAGER_SOCKET=" + settings.pager_socket,
                     "FALLOW_PAGER_MEM=" + settings.memory_path});
  }
  command.push_back("qemu-system-x86_64");
  append(command, machine_arguments(settings.accelerator));
  const std::string ram = std::to_string(settings.ram_bytes);
  // Shared RAM is what lets a vhost-user back end reach the guest's pages.
  const std::string memory = settings.pager_socket.empty()
                                 ? "memory-backend-memfd"
                                 : "memory-backend-file,mem-path=" + escaped(settings.memory_path);
  append(command, {"-m", ram + "B", "-object", memory + ",id=ram,share=on,size=" + ram});
  append(command, {"-smp", std::to_string(settings.cpus), "-nodefaults", "-no-user-config",
                   "-display", "none", "-no-reboot"});
  append(command, {"-kernel", settings.kernel_path, "-initrd", settings.initramfs_path, "-append",
                   kernel_command_line(settings.accelerator)});
  append(command, {"-chardev", "file,id=console,path=" + escaped(settings.console_path), "-serial",
                   "chardev:console"});
  append(command, {"-chardev", "socket,id=channel,path=" + escaped(settings.channel_socket),
                   "-serial", "chardev:channel"});
  if (!settings.disk_socket.empty()) {
    append(command, {"-chardev", "socket,id=disk,reconnect=1,path=" + escaped(settings.disk_socket),
                     "-device", "vhost-user-blk-pci,chardev=disk"});
  }
  if (!settings.nbd_socket.empty()) {
    append(command, {"-blockdev",
                     "driver=nbd,node-name=disk,discard=unmap,reconnect-delay=60,server.type=unix,"
                     "server.path=" +
                         escaped(settings.nbd_socket),
                     "-device", "virtio-blk-pci,drive=disk"});
  }
  return command;
}

}  // namespace fallow::lab
