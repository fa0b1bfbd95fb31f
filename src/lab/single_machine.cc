#include "lab/single_machine.h"

#include <cstdio>

#include "base/temp_dir.h"
#include "lab/virtual_machine.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kProbeRam = std::uint64_t{256} << 20;
constexpr std::uint64_t kBootMsMax = 120'000;
constexpr std::uint64_t kAnswerMsMax = 60'000;
constexpr std::uint64_t kWorkloadMsMax = 24 * 3'600'000;

void print(const GuestLine& line) {
  switch (line.kind) {
    case LineKind::kAttempt:
      std::printf("attempt %llu\n", static_cast<unsigned long long>(line.number));
      break;
    case LineKind::kStep:
      std::printf("step %llu %llu%s%s\n", static_cast<unsigned long long>(line.number),
                  static_cast<unsigned long long>(line.milliseconds), line.text.empty() ? "" : " ",
                  line.text.c_str());
      break;
    case LineKind::kPhase:
      std::printf("phase %s %llu%s%s\n", line.name.c_str(),
                  static_cast<unsigned long long>(line.milliseconds), line.text.empty() ? "" : " ",
                  line.text.c_str());
      break;
    case LineKind::kDone:
      std::printf("done %s\n", line.text.c_str());
      break;
    case LineKind::kError:
      std::printf("error %s\n", line.text.c_str());
      break;
    case LineKind::kOther:
      std::printf("%s\n", line.text.c_str());
      break;
    default:
      break;
  }
  std::fflush(stdout);
}

Status run_workload(Guest& machine, const SingleMachineSettings& settings,
                    SingleMachineResult& result) {
  if (settings.pager_socket.empty()) {
    FALLOW_TRY(machine.command("swapon", kAnswerMsMax));
  }
  const auto before = machine.memory(kAnswerMsMax);
  FALLOW_TRY(before);
  machine.on_workload(print);
  FALLOW_TRY(machine.start_workload(settings.workload, kAnswerMsMax));
  FALLOW_TRY(machine.wait_workload_end(kWorkloadMsMax));
  const auto after = machine.memory(kAnswerMsMax);
  FALLOW_TRY(after);
  result.before = *before;
  result.after = *after;
  result.exit_code = machine.workload_exit_code().value_or(1);
  return {};
}

}  // namespace

Result<SingleMachineResult> run_single_machine(LabLoop& loop,
                                               const SingleMachineSettings& settings) {
  const TempDir folder;
  const auto image = find_guest_image(settings.image_folder);
  FALLOW_TRY(image);
  const auto probe = probe_host(loop, *image, settings.accelerator, kProbeRam, folder.path());
  FALLOW_TRY(probe);
  MachineSettings machine_settings{.name = "vm", .folder = folder.path()};
  machine_settings.qemu.accelerator = probe->accelerator;
  machine_settings.qemu.ram_bytes = settings.ram_bytes;
  machine_settings.qemu.kernel_path = image->kernel_path;
  machine_settings.qemu.initramfs_path = image->initramfs_path;
  machine_settings.qemu.disk_socket = settings.disk_socket;
  machine_settings.qemu.nbd_socket = settings.nbd_socket;
  machine_settings.qemu.pager_socket = settings.pager_socket;
  machine_settings.qemu.memory_path = settings.memory_path;
  machine_settings.qemu.pager_library = settings.pager_library;
  auto machine = start_machine(loop, machine_settings);
  if (!machine) {
    return machine.error();
  }
  FALLOW_TRY((*machine)->wait_ready(kBootMsMax));
  SingleMachineResult result{.accelerator = probe->accelerator};
  FALLOW_TRY(run_workload(**machine, settings, result));
  return result;
}

}  // namespace fallow::lab
