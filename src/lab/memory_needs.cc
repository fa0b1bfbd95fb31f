#include "lab/memory_needs.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::uint64_t whole_mib(std::uint64_t bytes) {
  return (bytes + kMiB - 1) / kMiB * kMiB;
}

}  // namespace

std::uint64_t largest_bytes(const VmPlan& vm) {
  std::uint64_t largest = 0;
  for (const RunPlan& run : vm.runs) {
    largest = std::max(largest, run.bytes);
  }
  return largest;
}

std::uint64_t ram_bytes(const VmPlan& vm, GuestKind guest, std::uint64_t overhead_bytes) {
  // Whole MiB: QEMU does not take every number of pages.
  return guest == GuestKind::kMachine ? whole_mib(vm.ram_bytes + overhead_bytes) : vm.ram_bytes;
}

std::uint64_t ample_ram_bytes(const VmPlan& vm, GuestKind guest, std::uint64_t overhead_bytes) {
  return guest == GuestKind::kMachine
             ? ram_bytes(vm, guest, overhead_bytes) + whole_mib(2 * largest_bytes(vm))
             : 0;
}

std::uint64_t recorded_pool_bytes(const Scenario& scenario, GuestKind guest) {
  std::uint64_t bytes = scenario.memory_bytes;
  for (const VmPlan& vm : scenario.vms) {
    bytes += guest == GuestKind::kMachine ? vm.disk_bytes
                                          : largest_bytes(vm) / 2 * 3 / kPageSize * kPageSize;
  }
  return bytes;
}

std::uint64_t bytes_wanted(const Scenario& scenario, GuestKind guest, bool recorded) {
  std::uint64_t limited = recorded ? recorded_pool_bytes(scenario, guest) : scenario.memory_bytes;
  std::uint64_t ample = 0;
  for (const VmPlan& vm : scenario.vms) {
    limited += ram_bytes(vm, guest, 0);
    ample += std::max(ample_ram_bytes(vm, guest, 0), largest_bytes(vm));
  }
  return std::max(limited, ample);
}

Status check_fits(const Scenario& scenario, GuestKind guest, bool recorded,
                  std::uint64_t host_bytes) {
  const std::uint64_t wanted = bytes_wanted(scenario, guest, recorded);
  if (wanted <= host_bytes / 10 * 9) {
    return {};
  }
  const auto size = [](const VmPlan& vm) { return std::max(vm.ram_bytes, largest_bytes(vm)); };
  const auto largest = std::max_element(
      scenario.vms.begin(), scenario.vms.end(),
      [&](const VmPlan& left, const VmPlan& right) { return size(left) < size(right); });
  return invalid(scenario.path + ":" + std::to_string(largest->line) + ": " + scenario.name +
                 " takes " + format_size(wanted) + " of RAM and pooled memory, and this host has " +
                 format_size(host_bytes) + ": use a smaller --scale");
}

}  // namespace fallow::lab
