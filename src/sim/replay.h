// Replays a recording under a policy: what its clients would have waited for, had this policy
// decided. Discrete events; the same script and settings give the same outcome.
//
// Each client's operations go on in their order. Between two of them it takes the time that it took
// when it was recorded, and beside that what its backing store takes for a page that memory does
// not have. Once an interval the controller of src/node asks the policy and sets targets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/disk_speed.h"
#include "base/result.h"
#include "sim/replay_client.h"
#include "sim/script.h"

namespace fallow::sim {

struct ReplaySettings {
  std::uint64_t frames = 0;       // 0: as many as the node had that was recorded
  std::uint64_t interval_ns = 0;  // 0: the node's
  ClientSettings client{};
};

struct ClientOutcome {
  std::string name{};
  // Of what it ran, where the recording says when that began and ended: else from its first
  // operation to its last.
  double running_s = 0;
  std::uint64_t puts = 0;
  std::uint64_t frames_peak = 0;
  ClientFigures figures{};
};

struct Outcome {
  std::string policy{};
  std::vector<ClientOutcome> clients{};
  double total_s = 0;  // the running times together
  std::uint64_t refaults = 0;
  std::uint64_t target_changes = 0;
};

// kInvalid for a policy that there is not.
Result<Outcome> replay(const Script& script, const ReplaySettings& settings,
                       const std::string& policy);
// Under each of them, in this order, on as many processors as there are.
Result<std::vector<Outcome>> replay_all(const Script& script, const ReplaySettings& settings,
                                        const std::vector<std::string>& policies);

}  // namespace fallow::sim
