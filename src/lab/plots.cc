#include "lab/plots.h"

#include <array>
#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "lab/child_process.h"
#include "lab/report_text.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

constexpr int kRenderMsMax = 60'000;
constexpr std::size_t kSvgBytesMax = std::size_t{32} << 20;
// Told apart by colour-blind eyes and, with the dashes, on grey paper.
constexpr std::array<const char*, kMachineCount> kMachineColours = {"#0072B2", "#D55E00",
                                                                    "#009E73"};
// Solid, dashed, dash and dot; dotted is for targets.
constexpr std::array<std::size_t, kMachineCount> kMachineDashes = {1, 2, 4};
constexpr const char* kBarStyles =
    "set style fill solid 0.85 border rgb '#333333'\n"
    "set linetype 1 lc rgb '#999999'\nset linetype 2 lc rgb '#D55E00'\n"
    "set linetype 3 lc rgb '#F0E442'\nset linetype 4 lc rgb '#56B4E9'\n"
    "set linetype 5 lc rgb '#0072B2'\nset linetype 6 lc rgb '#009E73'\n"
    "set linetype 7 lc rgb '#CC79A7'\n";

// Rows of block sizes, a column for each policy: "?" where nothing was finished.
std::string time_data(const LabRecord& record, std::size_t machine) {
  std::string data = "$times << END\n";
  for (const std::uint64_t bytes : finished_sizes(record)) {
    data += "\"" + format_size(bytes) + "\"";
    for (const PolicyResult& policy : record.policies) {
      const double seconds = step_seconds(policy.machines[machine], bytes);
      data += " " + (seconds < 0 ? std::string("?") : decimal(seconds, 3));
    }
    data += "\n";
  }
  return data + "END\n";
}

std::string frames_data(const PolicyResult& policy, std::size_t machine) {
  std::string data = "$vm" + std::to_string(machine) + " << END\n";
  for (const FrameSample& sample : policy.samples) {
    if (sample.machine == machine) {
      data += decimal(sample.time_s, 3) + " " + std::to_string(sample.used) + " " +
              std::to_string(sample.target) + "\n";
    }
  }
  return data + "END\n";
}

std::string frames_curves(const PolicyResult& policy, std::size_t machine) {
  return frames_curve("$vm" + std::to_string(machine), policy.machines[machine].name,
                      kMachineColours[machine], kMachineDashes[machine]);
}

}  // namespace

// In gnuplot's single quotes only a quote itself is special.
std::string plot_quoted(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    safe += letter == '\'' ? std::string("''") : std::string(1, letter);
  }
  return "'" + safe + "'";
}

std::string plot_preamble(const std::string& title, int width, int height) {
  return "set terminal svg noenhanced size " + std::to_string(width) + "," +
         std::to_string(height) + " font 'sans-serif,12' background rgb 'white'\nset title " +
         plot_quoted(title) +
         "\nset grid ytics lc rgb '#dddddd'\nset tics nomirror\nset border 3\n";
}

std::string frames_curve(const std::string& block, const std::string& name,
                         const std::string& colour, std::size_t dash) {
  const std::string look = " lc rgb '" + colour + "' dt ";
  return block + " using 1:2 with lines lw 2" + look + std::to_string(dash) + " title " +
         plot_quoted(name) + ", " + block + " using 1:3 with steps lw 1" + look + "3 title " +
         plot_quoted(name + " target");
}

Plot time_plot(const LabRecord& record, std::size_t machine) {
  const std::string name = record.policies.front().machines[machine].name;
  const std::string title = name + ": running time of usemem by block size";
  std::string script = plot_preamble(title, 840, 360) + kBarStyles + time_data(record, machine) +
                       "set datafile missing '?'\nset style data histograms\n"
                       "set style histogram clustered gap 1\nset ylabel 'seconds'\n"
                       "set yrange [0:*]\nset key below horizontal\nplot ";
  for (std::size_t i = 0; i < record.policies.size(); ++i) {
    const std::string labels = i == 0 ? ":xtic(1)" : "";
    script += (i == 0 ? "" : ", ") + std::string("$times using ") + std::to_string(i + 2) + labels +
              " title " + plot_quoted(record.policies[i].spec);
  }
  return {title, script + "\n"};
}

Plot frames_plot(const LabRecord& record, const PolicyResult& policy) {
  const std::string title = policy.spec + ": frames of each VM";
  const double share = static_cast<double>(record.conditions.frames_total) / kMachineCount;
  std::string script = plot_preamble(title, 840, 400);
  for (std::size_t i = 0; i < policy.machines.size(); ++i) {
    script += frames_data(policy, i);
  }
  const std::string start = decimal(policy.third_start_s, 3);
  script += "set xlabel 'seconds'\nset ylabel 'frames of 4 KiB'\nset yrange [0:" +
            decimal(share * kMachineCount * 1.05, 0) + "]\nset key below horizontal\n" +
            "set arrow from " + start + ", graph 0 to " + start +
            ", graph 1 nohead lc rgb '#777777' dt 2\nset label 'vm3 starts' at " + start +
            ", graph 0.97 offset 0.5,0 tc rgb '#555555'\nplot " + decimal(share, 1) +
            " with lines lc rgb '#777777' lw 1 title 'a third of the node'";
  for (std::size_t i = 0; i < policy.machines.size(); ++i) {
    script += ", " + frames_curves(policy, i);
  }
  return {title, script + "\n"};
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
