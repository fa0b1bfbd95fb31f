#include "lab/accelerator.h"

#include <unistd.h>

#include <algorithm>

#include "lab/virtual_machine.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kKvmBootMsMax = 10'000;
constexpr std::uint64_t kTcgBootMsMax = 120'000;
constexpr std::uint64_t kAnswerMsMax = 10'000;
constexpr int kVersionMsMax = 10'000;
constexpr std::size_t kVersionBytesMax = 4096;

Result<HostProbe> boot_once(LabLoop& loop, const GuestImage& image, Accelerator accelerator,
                            std::uint64_t ram_bytes, const std::string& folder) {
  MachineSettings settings{.name = "probe-" + short_name(accelerator), .folder = folder};
  settings.qemu.accelerator = accelerator;
  settings.qemu.ram_bytes = ram_bytes;
  settings.qemu.kernel_path = image.kernel_path;
  settings.qemu.initramfs_path = image.initramfs_path;
  auto machine = start_machine(loop, settings);
  if (!machine) {
    return machine.error();
  }
  FALLOW_TRY(
      (*machine)->wait_ready(accelerator == Accelerator::kKvm ? kKvmBootMsMax : kTcgBootMsMax));
  const auto memory = (*machine)->memory(kAnswerMsMax);
  if (!memory) {
    return memory.error();
  }
  return HostProbe{accelerator, memory->available_bytes};
}

bool readable(const std::string& path) {
  return ::access(path.c_str(), R_OK) == 0;
}

}  // namespace

Result<GuestImage> find_guest_image(const std::string& folder) {
  GuestImage image{folder + "/vmlinuz", folder + "/initramfs.cpio.gz", "unknown"};
  if (!readable(image.kernel_path) || !readable(image.initramfs_path)) {
    return failed("no guest image in " + folder + ": run guests/build-image");
  }
  if (auto version = read_text_file(folder + "/version", kVersionBytesMax)) {
    version->erase(std::min(version->find('\n'), version->size()));
    image.version = *version;
  }
  return image;
}

std::string qemu_version(const std::string& folder) {
  const std::string output = folder + "/qemu-version";
  const Status ran = run_program({"qemu-system-x86_64", "--version"}, output, kVersionMsMax);
  const auto text = read_text_file(output, kVersionBytesMax);
  return ran && text ? text->substr(0, text->find('\n')) : "unknown";
}

Result<HostProbe> probe_host(LabLoop& loop, const GuestImage& image, AcceleratorChoice choice,
                             std::uint64_t ram_bytes, const std::string& folder) {
  if (choice == AcceleratorChoice::kTcg) {
    return boot_once(loop, image, Accelerator::kTcg, ram_bytes, folder);
  }
  if (choice == AcceleratorChoice::kKvm || readable("/dev/kvm")) {
    auto probe = boot_once(loop, image, Accelerator::kKvm, ram_bytes, folder);
    if (probe || choice == AcceleratorChoice::kKvm || loop.interrupted()) {
      return probe;
    }
  }
  return boot_once(loop, image, Accelerator::kTcg, ram_bytes, folder);
}

}  // namespace fallow::lab
