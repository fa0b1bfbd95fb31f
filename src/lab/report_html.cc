#include "lab/report_html.h"

#include <filesystem>

#include "base/temp_dir.h"
#include "base/text.h"
#include "lab/plots.h"
#include "lab/report_text.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

constexpr std::size_t kThird = 2;

std::string percent(double part) {
  return decimal(part * 100, 0) + "%";
}

std::string conditions_table(const LabRecord& record) {
  std::string html = "<table>\n";
  for (const Condition& condition : describe_conditions(record.conditions)) {
    html += "<tr>" + html_text_cell(condition.name) + html_text_cell(condition.value) + "</tr>\n";
  }
  return html + "</table>\n";
}

std::string shares_table(const LabRecord& record) {
  std::string html =
      "<table><tr><th class=\"l\">policy</th><th>peak frames of vm3</th><th>of a third</th>"
      "<th>settled at</th><th>vm3 starts (s)</th><th>whole run (s)</th></tr>\n";
  for (const PolicyResult& policy : record.policies) {
    html += "<tr>" + html_text_cell(policy.spec) +
            html_cell(std::to_string(peak_frames(policy, kThird))) +
            html_cell(percent(peak_share(record, policy, kThird))) +
            html_cell(percent(settled_share(record, policy, kThird))) +
            html_cell(decimal(policy.third_start_s, 1)) + html_cell(decimal(policy.seconds, 1)) +
            "</tr>\n";
  }
  return html + "</table>\n";
}

std::string times_head(const std::vector<std::uint64_t>& sizes) {
  std::string html = "<tr><th class=\"l\">policy</th><th class=\"l\">VM</th>";
  for (const std::uint64_t bytes : sizes) {
    html += "<th>" + format_size(bytes) + "</th>";
  }
  return html + "<th>pswpout</th><th>pswpin</th><th>writes to memory</th><th>to disk</th></tr>\n";
}

std::string times_row(const PolicyResult& policy, const MachineResult& machine,
                      const std::vector<std::uint64_t>& sizes) {
  std::string html = "<tr>" + html_text_cell(policy.spec) + html_text_cell(machine.name);
  for (const std::uint64_t bytes : sizes) {
    const double seconds = step_seconds(machine, bytes);
    html += html_cell(seconds < 0 ? "–" : decimal(seconds, 2));
  }
  for (const std::uint64_t count :
       {machine.pages_out, machine.pages_in, machine.memory_writes, machine.backing_writes}) {
    html += html_cell(std::to_string(count));
  }
  return html + "</tr>\n";
}

std::string times_table(const LabRecord& record) {
  const std::vector<std::uint64_t> sizes = finished_sizes(record);
  std::string html = "<table>" + times_head(sizes);
  for (const PolicyResult& policy : record.policies) {
    for (const MachineResult& machine : policy.machines) {
      html += times_row(policy, machine, sizes);
    }
  }
  return html + "</table>\n";
}

std::string figures_html(const std::vector<std::string>& figures) {
  std::string html;
  for (const std::string& figure : figures) {
    html += "<figure>" + figure + "</figure>\n";
  }
  return html;
}

Result<ReportFigures> draw(const LabRecord& record) {
  const TempDir folder;
  ReportFigures figures;
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    auto svg = render(time_plot(record, i), folder.path());
    if (!svg) {
      return svg.error();
    }
    figures.times.push_back(*std::move(svg));
  }
  for (const PolicyResult& policy : record.policies) {
    auto svg = render(frames_plot(record, policy), folder.path());
    if (!svg) {
      return svg.error();
    }
    figures.frames.push_back(*std::move(svg));
  }
  return figures;
}

}  // namespace

std::string to_html(const LabRecord& record, const ReportFigures& figures) {
  return html_head("Fallow: the usemem scenario") +
         "<p>Three VMs allocate ever larger blocks, write them and verify what they read back. "
         "The third starts when the others are already short of memory. Each policy divides the "
         "same frames among them; under <b>no-tmem</b> every swapped page goes to the backing "
         "file.</p>\n<p><b>Accelerator: " +
         html_escaped(record.conditions.accelerator) + ".</b></p>\n<h2>Conditions</h2>\n" +
         conditions_table(record) +
         "<h2>The third VM's share</h2>\n<p>Its equal share is a third of the node's frames. "
         "'Settled' is the mean over the last third of the time in which all three ran.</p>\n" +
         shares_table(record) +
         "<h2>Running times</h2>\n<p>Seconds for one pass (write, then read and verify) over a "
         "block, the median when there were several; and the guests' own count of pages "
         "swapped.</p>\n" +
         times_table(record) + figures_html(figures.times) + "<h2>Frames over time</h2>\n" +
         figures_html(figures.frames) + "</body></html>\n";
}

Status write_report(const LabRecord& record, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return failed("cannot make the folder " + folder + ": " + error.message());
  }
  // The data first: they are whole even if a plot cannot be drawn.
  FALLOW_TRY(write_text_file(folder + "/frames.csv", frames_csv(record)));
  FALLOW_TRY(write_text_file(folder + "/steps.csv", steps_csv(record)));
  FALLOW_TRY(write_text_file(folder + "/result.json", to_json(record)));
  const auto figures = draw(record);
  if (!figures) {
    return figures.error();
  }
  return write_text_file(folder + "/report.html", to_html(record, *figures));
}

}  // namespace fallow::lab
