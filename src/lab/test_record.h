// A small run for the tests of the record and of the reports.
#pragma once

#include "lab/lab_record.h"

namespace fallow::lab {

inline LabRecord test_record() {
  LabRecord record;
  record.conditions.sizes = scaled_sizes(0.25).value();
  record.conditions.accelerator = "tcg (emulated CPU: times are not native)";
  record.conditions.frames_total = 3000;
  record.conditions.demotion = "off";
  PolicyResult policy{.spec = "smart-alloc:P=2,threshold=64", .third_start_s = 4, .seconds = 10};
  for (const char* name : {"vm1", "vm2", "vm3"}) {
    MachineResult machine{.name = name};
    machine.steps = {{32 << 20, 100}, {64 << 20, 3000}, {64 << 20, 1000}, {64 << 20, 2000}};
    machine.pages_in = 11;
    machine.pages_out = 22;
    policy.machines.push_back(machine);
  }
  for (int second = 0; second <= 10; ++second) {
    for (std::size_t machine = 0; machine < kMachineCount; ++machine) {
      const auto used = static_cast<std::uint64_t>(second) * 90;
      policy.samples.push_back({static_cast<double>(second), machine, used, 1000});
    }
  }
  record.policies = {policy};
  return record;
}

}  // namespace fallow::lab
