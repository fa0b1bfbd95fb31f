#include "lab/lab_record.h"

#include <algorithm>
#include <set>

namespace fallow::lab {
namespace {

double equal_share(const LabRecord& record) {
  return std::max(1.0, static_cast<double>(record.conditions.frames_total) / kMachineCount);
}

}  // namespace

std::uint64_t peak_frames(const PolicyResult& result, std::size_t machine) {
  std::uint64_t peak = 0;
  for (const FrameSample& sample : result.samples) {
    peak = sample.machine == machine ? std::max(peak, sample.used) : peak;
  }
  return peak;
}

double peak_share(const LabRecord& record, const PolicyResult& result, std::size_t machine) {
  return static_cast<double>(peak_frames(result, machine)) / equal_share(record);
}

double settled_share(const LabRecord& record, const PolicyResult& result, std::size_t machine) {
  const double from_s = result.seconds - (result.seconds - result.third_start_s) / 3;
  double sum = 0;
  std::size_t count = 0;
  for (const FrameSample& sample : result.samples) {
    if (sample.machine == machine && sample.time_s >= from_s && sample.time_s <= result.seconds) {
      sum += static_cast<double>(sample.used);
      ++count;
    }
  }
  return count == 0 ? 0 : sum / static_cast<double>(count) / equal_share(record);
}

double step_seconds(const MachineResult& machine, std::uint64_t bytes) {
  std::vector<std::uint64_t> times;
  for (const StepTime& step : machine.steps) {
    if (step.bytes == bytes) {
      times.push_back(step.milliseconds);
    }
  }
  if (times.empty()) {
    return -1;
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return static_cast<double>(*middle) / 1000;
}

std::vector<std::uint64_t> finished_sizes(const LabRecord& record) {
  std::set<std::uint64_t> sizes;
  for (const PolicyResult& policy : record.policies) {
    for (const MachineResult& machine : policy.machines) {
      for (const StepTime& step : machine.steps) {
        sizes.insert(step.bytes);
      }
    }
  }
  return {sizes.begin(), sizes.end()};
}

}  // namespace fallow::lab
