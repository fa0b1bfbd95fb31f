// What one run of a scenario under one policy found: plain data, a line of JSON each in a file that
// runs are added to.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::lab {

// In the place of a policy: every VM has all the RAM it wants. What slowdowns are relative to, and
// what checksums are compared with.
inline constexpr char kAmple[] = "ample";
// The same: greedy, with memory for everything, as its operations were recorded to be replayed.
inline constexpr char kRecorded[] = "recorded";

// What makes a run the run that it is: two of the same key say the same thing twice.
struct RunKey {
  std::string scenario{};
  std::string guest{};    // "process", "vm (tcg ...)"
  std::string policy{};   // with its settings in full, or kAmple or kRecorded
  std::string backing{};  // "hdd (emulated)"
  double scale = 1;
  std::uint64_t seed = 1;
  std::uint64_t repetition = 0;
  std::string data{};  // "generated", or "files"
  // Of the scenario as it was read: a file that was changed makes other runs.
  std::string fingerprint{};
  auto operator<=>(const RunKey&) const = default;
};

// One time that a VM ran a workload.
struct WorkloadRecord {
  std::string workload{};
  double start_s = 0;
  double seconds = 0;
  bool stopped = false;  // by the scenario, before its end
  std::string checksum{};
};

struct StepRecord {
  double at_s = 0;
  std::uint64_t bytes = 0;
  std::uint64_t milliseconds = 0;
};

struct VmRecord {
  std::string name{};
  double running_s = 0;  // of its workloads together, pauses apart
  std::vector<WorkloadRecord> runs{};
  std::vector<StepRecord> steps{};
  std::map<std::string, double> figures{};  // counters of the daemon, the pager and the guest
};

struct FramesRecord {
  double at_s = 0;
  std::vector<std::uint64_t> used{};  // by VM
  std::vector<std::uint64_t> target{};
};

struct RunRecord {
  RunKey key{};
  // For people; a replay takes its "demotion" (pages a second, or "off") from here.
  std::map<std::string, std::string> conditions{};
  std::uint64_t frames_total = 0;
  double seconds = 0;
  std::vector<VmRecord> vms{};
  std::vector<FramesRecord> frames{};
};

// The sum of the VMs' running times.
double total_running_s(const RunRecord& record);

std::string to_json_line(const RunRecord& record);
Result<RunRecord> parse_run_record(std::string_view line);

// A file of them. Whole lines only are read: what was being written when the lab was killed is not
// one.
Result<std::vector<RunRecord>> read_run_records(const std::string& path);
Status append_run_record(const std::string& path, const RunRecord& record);

}  // namespace fallow::lab
