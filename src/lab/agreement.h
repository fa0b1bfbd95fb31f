// How far replays of a scenario's recording put the policies in the order in which real runs do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/results.h"
#include "lab/run_record.h"

namespace fallow::lab {

struct ComparedPolicy {
  std::string policy{};
  Mean real_s{};  // the VMs' running times together
  double replayed_s = 0;
};

struct Agreement {
  std::string scenario{};
  std::string guest{};
  std::string backing{};
  std::vector<ComparedPolicy> policies{};  // by their real means
  // Kendall's tau-b; none of fewer than two policies.
  std::optional<double> tau{};
  std::vector<std::string> doubts{};  // of the recording
  std::string error{};                // why it cannot be replayed: then there are no policies
};

// Differences that the noise of the real runs hides are ties on both sides: twice their standard
// error, or 2% of the smaller one where a policy was run once.
std::optional<double> kendall_tau(const std::vector<ComparedPolicy>& policies);

// Where a scenario's recording is, in a folder of runs.
std::string recording_path(const std::string& folder, const std::string& scenario);
// Whether the recording there is that of this run: each recorded run of a scenario replaces the
// recording of the one before it, whatever its scale and guests.
Result<bool> has_recording(const std::string& folder, const std::vector<RunRecord>& records,
                           const RunKey& recorded);

// Replays each recording of the folder under the policies of its runs. kInvalid when there is none;
// when none can be replayed, the first one's error.
Result<std::vector<Agreement>> find_agreements(const std::string& folder,
                                               const std::vector<RunRecord>& records);
// The mean of those that there are.
std::optional<double> mean_tau(const std::vector<Agreement>& agreements);

std::string to_table(const std::vector<Agreement>& agreements);
std::string to_json(const std::vector<Agreement>& agreements);

}  // namespace fallow::lab
