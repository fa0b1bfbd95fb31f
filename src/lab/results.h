// What the runs of a campaign say together: means, deviations, slowdowns.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/run_record.h"

namespace fallow::lab {

struct Mean {
  std::uint64_t count = 0;
  double mean = 0;
  double deviation = 0;  // of a sample; 0 of fewer than two
};
Mean mean_of(const std::vector<double>& values);
// Twice the standard error of the difference of two means: less may be chance.
double noise_between(const Mean& left, const Mean& right);
// Whether two means differ by more than the noise. Of single values nothing can be said: false.
bool differ(const Mean& left, const Mean& right);

struct VmSummary {
  std::string name{};
  Mean running_s{};
  double slowdown = 0;      // against ample RAM; 0: not known
  double failed_share = 0;  // of its puts
  double frames_peak = 0;   // the most that it held, mean over the repetitions
  // What it held in the last third of the time in which all VMs ran, when the policy has had its
  // say. Empty: there was no such time, or nobody looked.
  std::optional<double> frames_settled{};
  // Pages that the guest says it swapped out and in. Empty: it has no swap.
  std::optional<double> swapped_out{};
  std::optional<double> swapped_in{};
  // Seconds for a pass over a block of so many bytes, the median of all passes.
  std::map<std::uint64_t, double> blocks{};
};

// All repetitions of one policy in one scenario.
struct PolicySummary {
  std::string policy{};
  Mean total_s{};  // the VMs' running times together
  std::vector<VmSummary> vms{};
  double worst_slowdown = 0;
  double fairness = 0;  // Jain's index over the slowdowns: 1/n to 1
  double demotions = 0;
  bool checksums_agree = true;  // with those under ample RAM
};

struct ScenarioSummary {
  RunKey place{};  // of all its runs
  std::uint64_t frames_total = 0;
  std::map<std::string, std::string> conditions{};  // for people
  std::vector<PolicySummary> policies{};  // in the order in which they were first run, ample first
};

// What runs that are compared have in common: all but policy and repetition, which are empty.
RunKey place_of(RunKey key);

// Runs of different places are apart.
std::vector<ScenarioSummary> summarize(const std::vector<RunRecord>& records);
const PolicySummary* find_policy(const ScenarioSummary& scenario, const std::string& policy);

// What each VM would have if all had the same. Not 0.
double equal_share(const ScenarioSummary& scenario);
// The blocks that some VM has gone over, ascending.
std::vector<std::uint64_t> block_sizes(const ScenarioSummary& scenario);

double jain_index(const std::vector<double>& values);

}  // namespace fallow::lab
