// Which accelerator guests really boot under here, and what a guest keeps to itself.
#pragma once

#include "lab/lab_loop.h"
#include "lab/qemu_command.h"

namespace fallow::lab {

struct GuestImage {
  std::string kernel_path{};
  std::string initramfs_path{};
  std::string version{};  // of the kernel's package
};

// Finds what guests/build-image has made. kFailed with what to do when there is none.
Result<GuestImage> find_guest_image(const std::string& folder);

// What QEMU says it is; "unknown" when it says nothing.
std::string qemu_version(const std::string& folder);

struct HostProbe {
  Accelerator accelerator = Accelerator::kTcg;
  // What is left of a guest's RAM once kernel, agent and image have taken theirs.
  std::uint64_t available_bytes = 0;
};

enum class AcceleratorChoice { kAuto, kKvm, kTcg };

// Boots a guest of `ram_bytes` under KVM and, when it does not come up in a few seconds (the device
// may be there and yet not work), under TCG.
Result<HostProbe> probe_host(LabLoop& loop, const GuestImage& image, AcceleratorChoice choice,
                             std::uint64_t ram_bytes, const std::string& folder);

}  // namespace fallow::lab
