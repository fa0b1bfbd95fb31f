// What a run of a scenario found: plain data, filled by the run and read by the reports.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/usemem_scenario.h"

namespace fallow::lab {

// One block that one VM traversed.
struct StepTime {
  std::uint64_t bytes = 0;
  std::uint64_t milliseconds = 0;
};

// One VM under one policy.
struct MachineResult {
  std::string name{};
  std::vector<StepTime> steps{};
  std::uint64_t pages_in = 0;   // the guest's own pswpin over the run
  std::uint64_t pages_out = 0;  // and pswpout
  // What the device did with them.
  std::uint64_t memory_writes = 0;
  std::uint64_t backing_writes = 0;
  std::uint64_t memory_reads = 0;
  std::uint64_t backing_reads = 0;
};

// The frames of one VM at one moment.
struct FrameSample {
  double time_s = 0;  // since the first workload started
  std::size_t machine = 0;
  std::uint64_t used = 0;
  std::uint64_t target = 0;
};

struct PolicyResult {
  std::string spec{};  // with every setting in full
  double third_start_s = 0;
  double seconds = 0;
  std::vector<MachineResult> machines{};
  std::vector<FrameSample> samples{};
};

// What was set, found and measured once for all policies.
struct LabConditions {
  UsememSizes sizes{};
  std::string accelerator{};
  std::uint64_t boot_ms = 0;
  std::uint64_t overhead_bytes = 0;     // what a guest's kernel keeps to itself
  std::uint64_t machine_ram_bytes = 0;  // what each VM was given
  std::uint64_t frames_total = 0;
  std::uint64_t interval_ms = 0;
  std::string demotion{};  // "off" or a rate
  bool fresh_boot = false;
  std::string fallow_version{};
  std::string qemu_version{};
  std::string guest_version{};
  unsigned host_cpus = 0;
};

struct LabRecord {
  LabConditions conditions{};
  std::vector<PolicyResult> policies{};
};

// The most frames that the VM held at any sample.
std::uint64_t peak_frames(const PolicyResult& result, std::size_t machine);
// The same as a part of the VM's equal share of the node: 1 is all of its share.
double peak_share(const LabRecord& record, const PolicyResult& result, std::size_t machine);
// Its share while all three ran: the mean of the last third of that time, when the policy has had
// its say.
double settled_share(const LabRecord& record, const PolicyResult& result, std::size_t machine);
// The median of the VM's times for a block of that size, in seconds; negative when it never
// finished one.
double step_seconds(const MachineResult& machine, std::uint64_t bytes);
// Block sizes that some VM finished under some policy, ascending.
std::vector<std::uint64_t> finished_sizes(const LabRecord& record);

}  // namespace fallow::lab
