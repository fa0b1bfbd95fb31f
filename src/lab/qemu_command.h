// The QEMU command line of a lab guest. Pure, so that it can be looked at without booting anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow::lab {

enum class Accelerator { kKvm, kTcg };

// "tcg (emulated CPU: times are not native)": what every output says.
std::string describe(Accelerator accelerator);
// "kvm", "tcg".
std::string short_name(Accelerator accelerator);

struct QemuSettings {
  Accelerator accelerator = Accelerator::kTcg;
  std::uint64_t ram_bytes = 0;
  std::uint32_t cpus = 1;
  std::string kernel_path{};
  std::string initramfs_path{};
  std::string console_path{};    // a file that takes the guest's console
  std::string channel_socket{};  // where the lab listens for the guest's second serial port
  std::string disk_socket{};     // vhost-user-blk; empty: no such disk
  std::string nbd_socket{};      // an NBD server's; empty: no such disk
  // A pager's (docs/pager.md); empty: the RAM is QEMU's own.
  std::string pager_socket{};
  std::string memory_path{};    // the file that the pager pages, and
  std::string pager_library{};  // what makes QEMU hand it over
};

std::vector<std::string> qemu_command(const QemuSettings& settings);

}  // namespace fallow::lab
