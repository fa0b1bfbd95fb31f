// A campaign's report: tables, CSV and JSON, and one self-contained HTML file. Pure, but for
// writing and for drawing the plots with gnuplot.
#pragma once

#include <string>
#include <vector>

#include "lab/findings.h"
#include "lab/results.h"

namespace fallow::lab {

// Of each scenario: a row for each policy, one for each VM under each, and the times of blocks.
std::string to_table(const std::vector<ScenarioSummary>& scenarios);
// Findings, a line each.
std::string to_text(const std::vector<Finding>& all);
std::string to_json(const std::vector<ScenarioSummary>& scenarios, const std::vector<Finding>& all);

// Of all runs but those that were recorded.
// scenario,guest,backing,policy,repetition,vm,run,workload,start_s,seconds,stopped,checksum
std::string runs_csv(const std::vector<RunRecord>& records);
// scenario,policy,repetition,at_s,vm,used,target (frames)
std::string frames_csv(const std::vector<RunRecord>& records);

// scenario,policy,repetition,at_s,vm,block_bytes,milliseconds
std::string blocks_csv(const std::vector<RunRecord>& records);

// report.html, runs.csv, frames.csv, blocks.csv and summary.json in the folder: of the records, and
// of what they have been summed up to.
Status write_report(const std::vector<RunRecord>& records,
                    const std::vector<ScenarioSummary>& scenarios, const std::vector<Finding>& all,
                    const std::string& folder);

// Two campaigns: which differences of the running times exceed the noise.
struct Difference {
  std::string scenario{};
  std::string policy{};
  std::string what{};  // "all VMs", or a VM's name
  Mean left{};
  Mean right{};
  bool beyond_noise = false;
};
std::vector<Difference> compare(const std::vector<ScenarioSummary>& left,
                                const std::vector<ScenarioSummary>& right);
std::string to_table(const std::vector<Difference>& differences);
std::string to_json(const std::vector<Difference>& differences);

}  // namespace fallow::lab
