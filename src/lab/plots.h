// The plots of 004's Figures 2.6 and 2.7: gnuplot's input as pure text, and running gnuplot.
#pragma once

#include <string>
#include <vector>

#include "lab/lab_record.h"

namespace fallow::lab {

struct Plot {
  std::string title{};
  std::string script{};  // gnuplot's, writing SVG to standard output, data included
};

// Figure 2.6: one plot a VM, running time by block size, a bar for each policy.
Plot time_plot(const LabRecord& record, std::size_t machine);
// Figure 2.7: one plot a policy, frames and target of every VM over time.
Plot frames_plot(const LabRecord& record, const PolicyResult& policy);

// How every plot begins: size, fonts, title, borders.
std::string plot_preamble(const std::string& title, int width, int height);
// As gnuplot takes text.
std::string plot_quoted(const std::string& text);
// What to plot of a data block of rows "time frames target".
std::string frames_curve(const std::string& block, const std::string& name,
                         const std::string& colour, std::size_t dash);

// The plot as an <svg> element.
Result<std::string> render(const Plot& plot, const std::string& folder);

}  // namespace fallow::lab
