#include "lab/results.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "lab/table.h"

namespace fallow::lab {
namespace {

using Runs = std::vector<const RunRecord*>;

double figure(const VmRecord& vm, const std::string& name) {
  const auto found = vm.figures.find(name);
  return found == vm.figures.end() ? 0 : found->second;
}

double mean_over(const Runs& runs, const std::function<double(const RunRecord&)>& value) {
  double sum = 0;
  for (const RunRecord* run : runs) {
    sum += value(*run);
  }
  return runs.empty() ? 0 : sum / static_cast<double>(runs.size());
}

Mean mean_over_runs(const Runs& runs, const std::function<double(const RunRecord&)>& value) {
  std::vector<double> values;
  for (const RunRecord* run : runs) {
    values.push_back(value(*run));
  }
  return mean_of(values);
}

double frames_peak(const RunRecord& run, std::size_t vm) {
  std::uint64_t peak = 0;
  for (const FramesRecord& frames : run.frames) {
    peak = std::max(peak, vm < frames.used.size() ? frames.used[vm] : 0);
  }
  return static_cast<double>(peak);
}

// Of the repetitions that have the value; empty when none has.
std::optional<double> mean_of_known(
    const Runs& runs, const std::function<std::optional<double>(const RunRecord&)>& value) {
  std::vector<double> known;
  for (const RunRecord* run : runs) {
    if (const std::optional<double> one = value(*run)) {
      known.push_back(*one);
    }
  }
  return known.empty() ? std::nullopt : std::optional(mean_of(known).mean);
}

std::optional<double> frames_settled(const RunRecord& run, std::size_t vm) {
  double from_s = 0;
  double end_s = run.seconds;
  for (const VmRecord& one : run.vms) {
    if (one.runs.empty()) {
      return std::nullopt;
    }
    from_s = std::max(from_s, one.runs.front().start_s);
    end_s = std::min(end_s, one.runs.back().start_s + one.runs.back().seconds);
  }
  std::vector<double> used;
  for (const FramesRecord& frames : run.frames) {
    if (vm < frames.used.size() && frames.at_s >= end_s - (end_s - from_s) / 3 &&
        frames.at_s <= end_s) {
      used.push_back(static_cast<double>(frames.used[vm]));
    }
  }
  return used.empty() || end_s < from_s ? std::nullopt : std::optional(mean_of(used).mean);
}

std::optional<double> guest_figure(const RunRecord& run, std::size_t vm, const std::string& name) {
  const auto found = run.vms[vm].figures.find(name);
  return found == run.vms[vm].figures.end() ? std::nullopt : std::optional(found->second);
}

std::map<std::uint64_t, double> block_seconds(const Runs& runs, std::size_t vm) {
  std::map<std::uint64_t, std::vector<double>> passes;
  for (const RunRecord* run : runs) {
    for (const StepRecord& step : run->vms[vm].steps) {
      passes[step.bytes].push_back(static_cast<double>(step.milliseconds) / 1000);
    }
  }
  std::map<std::uint64_t, double> medians;
  for (auto& [bytes, seconds] : passes) {
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    medians[bytes] = *middle;
  }
  return medians;
}

VmSummary summarize_vm(const Runs& runs, std::size_t vm, const PolicySummary* ample) {
  VmSummary summary{.name = runs.front()->vms[vm].name};
  summary.running_s =
      mean_over_runs(runs, [vm](const RunRecord& run) { return run.vms[vm].running_s; });
  if (ample != nullptr && ample->vms[vm].running_s.mean > 0) {
    summary.slowdown = summary.running_s.mean / ample->vms[vm].running_s.mean;
  }
  const double puts =
      mean_over(runs, [vm](const RunRecord& run) { return figure(run.vms[vm], "puts"); });
  const double failed =
      mean_over(runs, [vm](const RunRecord& run) { return figure(run.vms[vm], "puts_failed"); });
  summary.failed_share = puts > 0 ? failed / puts : 0;
  summary.frames_peak =
      mean_over(runs, [vm](const RunRecord& run) { return frames_peak(run, vm); });
  summary.frames_settled =
      mean_of_known(runs, [vm](const RunRecord& run) { return frames_settled(run, vm); });
  summary.swapped_out =
      mean_of_known(runs, [vm](const RunRecord& run) { return guest_figure(run, vm, "pswpout"); });
  summary.swapped_in =
      mean_of_known(runs, [vm](const RunRecord& run) { return guest_figure(run, vm, "pswpin"); });
  summary.blocks = block_seconds(runs, vm);
  return summary;
}

// A workload that was stopped, or that says none, has no checksum to compare.
bool checksums_agree(const RunRecord& run, const RunRecord& ample) {
  for (std::size_t vm = 0; vm < std::min(run.vms.size(), ample.vms.size()); ++vm) {
    const auto& left = run.vms[vm].runs;
    const auto& right = ample.vms[vm].runs;
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      const bool both = !left[i].checksum.empty() && !right[i].checksum.empty();
      if (both && left[i].checksum != right[i].checksum) {
        return false;
      }
    }
  }
  return true;
}

PolicySummary summarize_policy(const std::string& policy, const Runs& runs,
                               const PolicySummary* ample, const RunRecord* ample_run) {
  PolicySummary summary{.policy = policy};
  summary.total_s = mean_over_runs(runs, total_running_s);
  std::vector<double> slowdowns;
  for (std::size_t vm = 0; vm < runs.front()->vms.size(); ++vm) {
    summary.vms.push_back(summarize_vm(runs, vm, ample));
    slowdowns.push_back(summary.vms.back().slowdown);
  }
  summary.worst_slowdown = *std::max_element(slowdowns.begin(), slowdowns.end());
  summary.fairness = jain_index(slowdowns);
  summary.demotions = mean_over(runs, [](const RunRecord& run) {
    double sum = 0;
    for (const VmRecord& vm : run.vms) {
      sum += figure(vm, "pager_demotions") + figure(vm, "pages_demoted");
    }
    return sum;
  });
  for (const RunRecord* run : runs) {
    summary.checksums_agree =
        summary.checksums_agree && (ample_run == nullptr || checksums_agree(*run, *ample_run));
  }
  return summary;
}

ScenarioSummary summarize_scenario(const Runs& runs) {
  const RunRecord& first = *runs.front();
  ScenarioSummary summary{.place = place_of(first.key)};
  std::vector<std::string> order;
  std::map<std::string, Runs> by_policy;
  for (const RunRecord* run : runs) {
    if (!by_policy.contains(run->key.policy)) {
      order.push_back(run->key.policy);
    }
    by_policy[run->key.policy].push_back(run);
    summary.frames_total = std::max(summary.frames_total, run->frames_total);
    summary.conditions.insert(run->conditions.begin(), run->conditions.end());
  }
  std::stable_partition(order.begin(), order.end(),
                        [](const std::string& policy) { return policy == kAmple; });
  summary.policies.reserve(order.size());
  const RunRecord* ample_run = by_policy.contains(kAmple) ? by_policy[kAmple].front() : nullptr;
  for (const std::string& policy : order) {
    const PolicySummary* ample = policy == kAmple ? nullptr : find_policy(summary, kAmple);
    summary.policies.push_back(summarize_policy(policy, by_policy[policy], ample, ample_run));
  }
  return summary;
}

}  // namespace

Mean mean_of(const std::vector<double>& values) {
  Mean result{.count = values.size()};
  if (values.empty()) {
    return result;
  }
  const auto count = static_cast<double>(values.size());
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) {
    squares += (value - result.mean) * (value - result.mean);
  }
  result.deviation = values.size() < 2 ? 0 : std::sqrt(squares / (count - 1));
  return result;
}

double noise_between(const Mean& left, const Mean& right) {
  const auto variance = [](const Mean& mean) {
    return mean.deviation * mean.deviation / static_cast<double>(mean.count);
  };
  return 2 * std::sqrt(variance(left) + variance(right));
}

bool differ(const Mean& left, const Mean& right) {
  return left.count >= 2 && right.count >= 2 &&
         std::abs(left.mean - right.mean) > noise_between(left, right);
}

double equal_share(const ScenarioSummary& scenario) {
  const std::size_t vms = scenario.policies.empty() ? 1 : scenario.policies.front().vms.size();
  return std::max(1.0, static_cast<double>(scenario.frames_total) / static_cast<double>(vms));
}

std::vector<std::uint64_t> block_sizes(const ScenarioSummary& scenario) {
  std::set<std::uint64_t> sizes;
  for (const PolicySummary& policy : scenario.policies) {
    for (const VmSummary& vm : policy.vms) {
      for (const auto& [bytes, seconds] : vm.blocks) {
        sizes.insert(bytes);
      }
    }
  }
  return {sizes.begin(), sizes.end()};
}

double jain_index(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(values.size()) * squares) : 0;
}

RunKey place_of(RunKey key) {
  key.policy.clear();
  key.repetition = 0;
  return key;
}

std::vector<ScenarioSummary> summarize(const std::vector<RunRecord>& records) {
  std::vector<RunKey> order;
  std::map<RunKey, Runs> places;
  for (const RunRecord& record : records) {
    const RunKey place = place_of(record.key);
    if (record.vms.empty() || record.key.policy == kRecorded) {
      continue;
    }
    if (!places.contains(place)) {
      order.push_back(place);
    }
    Runs& runs = places[place];
    // A record of another number of VMs is not of this scenario, whatever it says.
    if (runs.empty() || runs.front()->vms.size() == record.vms.size()) {
      runs.push_back(&record);
    }
  }
  std::vector<ScenarioSummary> all;
  for (const RunKey& place : order) {
    all.push_back(summarize_scenario(places[place]));
  }
  return all;
}

const PolicySummary* find_policy(const ScenarioSummary& scenario, const std::string& policy) {
  for (const PolicySummary& summary : scenario.policies) {
    if (summary.policy == policy) {
      return &summary;
    }
  }
  return nullptr;
}

}  // namespace fallow::lab
