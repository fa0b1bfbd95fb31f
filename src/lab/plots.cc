#include "lab/plots.h"

#include <array>
#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "lab/child_process.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

constexpr int kRenderMsMax = 60'000;
constexpr std::size_t kSvgBytesMax = std::size_t{32} << 20;
// A VM that comes so late has its coming marked.
constexpr double kLateS = 0.5;
// Told apart by colour-blind eyes and, with the dashes, on grey paper: twelve VMs in all.
constexpr std::array<const char*, 4> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7"};
// Solid, dashed, dash and dot; dotted is for targets.
constexpr std::array<int, 3> kDashes = {1, 2, 4};
constexpr const char* kBarStyles =
    "set style fill solid 0.85 border rgb '#333333'\n"
    "set linetype 1 lc rgb '#999999'\nset linetype 2 lc rgb '#D55E00'\n"
    "set linetype 3 lc rgb '#F0E442'\nset linetype 4 lc rgb '#56B4E9'\n"
    "set linetype 5 lc rgb '#0072B2'\nset linetype 6 lc rgb '#009E73'\n"
    "set linetype 7 lc rgb '#CC79A7'\n";

// Text of records may come from elsewhere, and gnuplot runs what it reads: a line's end closes a
// quote that is open, and what follows would be commands.
std::string harmless(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    const bool control = static_cast<unsigned char>(letter) < ' ' || letter == '\x7f';
    const bool special = std::string_view("'\"`\\").find(letter) != std::string_view::npos;
    safe += control ? ' ' : special ? '_' : letter;
  }
  return safe;
}

std::string quoted(const std::string& text) {
  return "'" + harmless(text) + "'";
}

// How every plot begins: size, fonts, title, borders.
std::string preamble(const std::string& title, int height) {
  return "set terminal svg noenhanced size 840," + std::to_string(height) +
         " font 'sans-serif,12' background rgb 'white'\nset title " + quoted(title) +
         "\nset grid ytics lc rgb '#dddddd'\nset tics nomirror\nset border 3\n";
}

// Rows "time frames target".
std::string frames_data(const RunRecord& record, std::size_t vm) {
  std::string data = "$vm" + std::to_string(vm) + " << END\n";
  for (const FramesRecord& frames : record.frames) {
    if (vm < frames.used.size() && vm < frames.target.size()) {
      data += decimal(frames.at_s, 3) + " " + std::to_string(frames.used[vm]) + " " +
              std::to_string(frames.target[vm]) + "\n";
    }
  }
  return data + "END\n";
}

std::string frames_curves(const std::string& name, std::size_t vm) {
  const std::string block = "$vm" + std::to_string(vm);
  const std::string look = std::string(" lc rgb '") + kColours[vm % kColours.size()] + "' dt ";
  return block + " using 1:2 with lines lw 2" + look +
         std::to_string(kDashes[vm % kDashes.size()]) + " title " + quoted(name) + ", " + block +
         " using 1:3 with steps lw 1" + look + "3 title " + quoted(name + " target");
}

std::string coming_of(const VmRecord& vm) {
  if (vm.runs.empty() || vm.runs.front().start_s < kLateS) {
    return "";
  }
  const std::string start = decimal(vm.runs.front().start_s, 3);
  return "set arrow from " + start + ", graph 0 to " + start +
         ", graph 1 nohead lc rgb '#777777' dt 2\nset label " + quoted(vm.name + " starts") +
         " at " + start + ", graph 0.97 offset 0.5,0 tc rgb '#555555'\n";
}

// Rows of block sizes, a column for each policy: "?" where nothing was finished.
std::string blocks_data(const ScenarioSummary& scenario, std::size_t vm) {
  std::string data = "$times << END\n";
  for (const std::uint64_t bytes : block_sizes(scenario)) {
    data += "\"" + format_size(bytes) + "\"";
    for (const PolicySummary& policy : scenario.policies) {
      const auto found = policy.vms[vm].blocks.find(bytes);
      data += found == policy.vms[vm].blocks.end() ? " ?" : " " + decimal(found->second, 3);
    }
    data += "\n";
  }
  return data + "END\n";
}

}  // namespace

Plot totals_plot(const ScenarioSummary& scenario) {
  const std::string title = scenario.place.scenario + ": the VMs' running times together";
  std::string data = "$totals << END\n";
  std::string ample;
  for (const PolicySummary& policy : scenario.policies) {
    if (policy.policy == kAmple) {
      ample = decimal(policy.total_s.mean, 3);
      continue;
    }
    data += "\"" + harmless(policy.policy) + "\" " + decimal(policy.total_s.mean, 3) + " " +
            decimal(policy.total_s.deviation, 3) + "\n";
  }
  std::string script = preamble(title, 420) + data +
                       "END\nset style data histograms\nset style histogram errorbars gap 1\n"
                       "set style fill solid 0.85 border rgb '#333333'\nset ylabel 'seconds'\n"
                       "set yrange [0:*]\nset xtics rotate by -30\nset key below horizontal\n"
                       "plot $totals using 2:3:xtic(1) lc rgb '#0072B2' title 'all VMs'";
  if (!ample.empty()) {
    script += ", " + ample + " with lines lc rgb '#777777' dt 2 title 'with ample RAM'";
  }
  return {title, script + "\n"};
}

Plot blocks_plot(const ScenarioSummary& scenario, std::size_t vm) {
  const std::string title = scenario.place.scenario + ", " +
                            scenario.policies.front().vms[vm].name +
                            ": time of a pass by block size";
  std::string script = preamble(title, 360) + kBarStyles + blocks_data(scenario, vm) +
                       "set datafile missing '?'\nset style data histograms\n"
                       "set style histogram clustered gap 1\nset ylabel 'seconds'\n"
                       "set yrange [0:*]\nset key below horizontal\nplot ";
  for (std::size_t i = 0; i < scenario.policies.size(); ++i) {
    const std::string labels = i == 0 ? ":xtic(1)" : "";
    script += (i == 0 ? "" : ", ") + std::string("$times using ") + std::to_string(i + 2) + labels +
              " title " + quoted(scenario.policies[i].policy);
  }
  return {title, script + "\n"};
}

Plot frames_plot(const RunRecord& record) {
  const std::string title =
      record.key.scenario + " under " + record.key.policy + ": frames of each VM";
  const auto total = static_cast<double>(record.frames_total);
  const auto vms = static_cast<double>(record.vms.size());
  std::string script = preamble(title, 400);
  std::string curves;
  for (std::size_t vm = 0; vm < record.vms.size(); ++vm) {
    script += frames_data(record, vm) + coming_of(record.vms[vm]);
    curves += ", " + frames_curves(record.vms[vm].name, vm);
  }
  return {title, script + "set xlabel 'seconds'\nset ylabel 'frames of 4 KiB'\nset yrange [0:" +
                     decimal(total * 1.05 + 1, 0) + "]\nset key below horizontal\nplot " +
                     decimal(total / vms, 1) +
                     " with lines lc rgb '#777777' lw 1 title 'an equal share'" + curves + "\n"};
}

Result<std::string> render(const Plot& plot, const std::string& folder) {
  const std::string script = folder + "/plot.gnuplot";
  const std::string output = folder + "/plot.svg";
  std::ofstream(script) << "set output '" << output << "'\n" << plot.script;
  FALLOW_TRY(run_program({"gnuplot", script}, folder + "/gnuplot.log", kRenderMsMax));
  auto svg = read_text_file(output, kSvgBytesMax);
  if (!svg) {
    return svg.error();
  }
  const std::size_t start = svg->find("<svg");
  return start == std::string::npos ? Result<std::string>(failed("gnuplot wrote no plot"))
                                    : svg->substr(start);
}

}  // namespace fallow::lab
