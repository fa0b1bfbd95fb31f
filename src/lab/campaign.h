// Runs scenarios under policies, each several times, and adds every run to a file as soon as it is
// over: what is there already is not run again, so an interrupted campaign goes on where it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/progress.h"
#include "lab/run_record.h"
#include "lab/scenario.h"
#include "lab/scenario_run.h"

namespace fallow::lab {

struct CampaignSettings {
  std::vector<Scenario> scenarios{};    // scaled
  std::vector<std::string> policies{};  // empty: each scenario's own, or policy::tried_policies()
  std::uint64_t repetitions = 0;        // 0: each scenario's own
  LabSetting lab{};
  std::string runs_path{};
  std::string recordings{};  // folder for a recording of each scenario; empty: none is made
};

// One that is to be made. `scenario` is an index.
struct PlannedRun {
  std::size_t scenario = 0;
  RunKey key{};
};
// All of them, each once, in the order in which they are made: a scenario's repetitions are
// interleaved, so that what changes slowly about the host strikes all policies alike. Pure.
std::vector<PlannedRun> plan_runs(const CampaignSettings& settings);
// Those that are not there already. One that is recorded is there only with its recording.
Result<std::vector<PlannedRun>> runs_to_make(const std::vector<PlannedRun>& planned,
                                             const std::vector<RunRecord>& before,
                                             const std::string& recordings);

// "process", or how machines are run.
std::string describe(const LabSetting& setting);

Status run_campaign(LabLoop& loop, Progress& progress, const CampaignSettings& settings);

}  // namespace fallow::lab
