// The plots of a report: gnuplot's input as pure text, and running gnuplot.
#pragma once

#include <string>

#include "lab/results.h"

namespace fallow::lab {

struct Plot {
  std::string title{};
  std::string script{};  // gnuplot's, writing SVG to standard output, data included
};

// The VMs' running times together by policy, with the deviation, and ample RAM as a line.
Plot totals_plot(const ScenarioSummary& scenario);
// 004, Figure 2.6: one VM's time for a pass over a block, by the block's size, a bar for each
// policy.
Plot blocks_plot(const ScenarioSummary& scenario, std::size_t vm);
// 004, Figure 2.7: frames and targets of every VM over time.
Plot frames_plot(const RunRecord& record);

// The plot as an <svg> element.
Result<std::string> render(const Plot& plot, const std::string& folder);

}  // namespace fallow::lab
