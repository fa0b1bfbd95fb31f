#include "lab/scenario_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/temp_dir.h"
#include "base/text.h"
#include "lab/paths.h"
#include "lab/plots.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

using Json = nlohmann::json;

constexpr char kBlocks[] =
    "Seconds for one pass over a block of each size, the median; '-': none was finished";

std::string with_deviation(const Mean& mean, int digits) {
  return decimal(mean.mean, digits) +
         (mean.count > 1 ? " ± " + decimal(mean.deviation, digits) : "");
}

std::string or_dash(double value, int digits) {
  return value > 0 ? decimal(value, digits) : "-";
}

std::string percent(double part) {
  return decimal(100 * part, 0) + "%";
}

std::string heading(const ScenarioSummary& scenario) {
  return scenario.place.scenario + ", guests: " + scenario.place.guest +
         ", backing store: " + scenario.place.backing + ", data: " + scenario.place.data +
         ", scale " + decimal(scenario.place.scale, 4);
}

std::string running_times(const PolicySummary& policy, int digits) {
  std::string text;
  for (const VmSummary& vm : policy.vms) {
    text += (text.empty() ? "" : " ") + decimal(vm.running_s.mean, digits);
  }
  return text;
}

double failed_share(const PolicySummary& policy) {
  double sum = 0;
  for (const VmSummary& vm : policy.vms) {
    sum += vm.failed_share;
  }
  return sum / static_cast<double>(policy.vms.size());
}

Row head_row() {
  return {"policy",   "runs",        "all VMs (s)", "each VM (s)", "worst slowdown",
          "fairness", "failed puts", "demotions",   "checksums"};
}

Row policy_row(const PolicySummary& policy) {
  return {policy.policy,
          std::to_string(policy.total_s.count),
          with_deviation(policy.total_s, 2),
          running_times(policy, 2),
          or_dash(policy.worst_slowdown, 2),
          or_dash(policy.fairness, 3),
          percent(failed_share(policy)),
          decimal(policy.demotions, 0),
          policy.checksums_agree ? "agree" : "DIFFER"};
}

std::string or_dash(const std::optional<double>& value) {
  return value ? decimal(*value, 0) : "-";
}

// What each VM had, did and waited for. Without a pool, as with ample RAM, there are no frames.
std::vector<Row> vm_rows(const ScenarioSummary& scenario) {
  std::vector<Row> rows = {{"policy", "VM", "running (s)", "slowdown", "most frames",
                            "of its share", "settled at", "swapped out", "swapped in",
                            "failed puts"}};
  const double share = equal_share(scenario);
  for (const PolicySummary& policy : scenario.policies) {
    const bool ample = policy.policy == kAmple;
    for (const VmSummary& vm : policy.vms) {
      rows.push_back({&vm == policy.vms.data() ? policy.policy : "", vm.name,
                      with_deviation(vm.running_s, 2), or_dash(vm.slowdown, 2),
                      ample ? "-" : decimal(vm.frames_peak, 0),
                      ample ? "-" : percent(vm.frames_peak / share),
                      vm.frames_settled ? percent(*vm.frames_settled / share) : "-",
                      ample ? "-" : or_dash(vm.swapped_out), ample ? "-" : or_dash(vm.swapped_in),
                      ample ? "-" : percent(vm.failed_share)});
    }
  }
  return rows;
}

// Of workloads that go over blocks; else only a head.
std::vector<Row> block_rows(const ScenarioSummary& scenario) {
  const std::vector<std::uint64_t> sizes = block_sizes(scenario);
  std::vector<Row> rows = {{"policy", "VM"}};
  for (const std::uint64_t bytes : sizes) {
    rows.front().push_back(format_size(bytes));
  }
  for (const PolicySummary& policy : scenario.policies) {
    for (const VmSummary& vm : policy.vms) {
      rows.push_back({&vm == policy.vms.data() ? policy.policy : "", vm.name});
      for (const std::uint64_t bytes : sizes) {
        const auto found = vm.blocks.find(bytes);
        rows.back().push_back(found == vm.blocks.end() ? "-" : decimal(found->second, 2));
      }
    }
  }
  return rows;
}

std::string pooled(const ScenarioSummary& scenario) {
  return std::to_string(scenario.frames_total) + " frames of pooled memory, an equal share is " +
         decimal(equal_share(scenario), 0);
}

std::string conditions_text(const ScenarioSummary& scenario) {
  std::string text = "  " + pooled(scenario) + "\n";
  for (const auto& [name, value] : scenario.conditions) {
    text += "  " + name + ": " + value + "\n";
  }
  return text;
}

const char* word_of(Finding::Verdict verdict) {
  switch (verdict) {
    case Finding::Verdict::kHolds:
      return "holds";
    case Finding::Verdict::kFails:
      return "does not hold";
    case Finding::Verdict::kUnknown:
      break;
  }
  return "not run";
}

Json json_of(const Mean& mean) {
  return {{"count", mean.count}, {"mean", mean.mean}, {"deviation", mean.deviation}};
}

Json json_of(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

Json json_of(const PolicySummary& policy) {
  Json vms = Json::array();
  for (const VmSummary& vm : policy.vms) {
    Json blocks = Json::array();
    for (const auto& [bytes, seconds] : vm.blocks) {
      blocks.push_back({{"bytes", bytes}, {"seconds", seconds}});
    }
    vms.push_back({{"name", vm.name},
                   {"running_s", json_of(vm.running_s)},
                   {"slowdown", vm.slowdown},
                   {"failed_share", vm.failed_share},
                   {"frames_peak", vm.frames_peak},
                   {"frames_settled", json_of(vm.frames_settled)},
                   {"pswpout", json_of(vm.swapped_out)},
                   {"pswpin", json_of(vm.swapped_in)},
                   {"blocks", blocks}});
  }
  return {{"policy", policy.policy},
          {"total_s", json_of(policy.total_s)},
          {"vms", vms},
          {"worst_slowdown", policy.worst_slowdown},
          {"fairness", policy.fairness},
          {"demotions", policy.demotions},
          {"checksums_agree", policy.checksums_agree}};
}

// The first columns, so many, are text.
std::string html_table(const std::vector<Row>& rows, std::size_t texts = 1) {
  std::string html = "<table>\n";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    html += "<tr>";
    for (std::size_t i = 0; i < rows[row].size(); ++i) {
      if (row == 0) {
        html += std::string("<th") + (i < texts ? " class=\"l\"" : "") + ">" +
                html_escaped(rows[row][i]) + "</th>";
      } else {
        html += i < texts ? html_text_cell(rows[row][i]) : html_cell(rows[row][i]);
      }
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

std::string findings_html(const std::vector<Finding>& all) {
  std::vector<Row> rows = {{"finding", "here", "figures"}};
  for (const Finding& finding : all) {
    rows.push_back({finding.text, word_of(finding.verdict), finding.figures});
  }
  return html_table(rows);
}

Result<std::string> figure(const Plot& plot, const std::string& folder) {
  const auto svg = render(plot, folder);
  FALLOW_TRY(svg);
  return "<figure>" + *svg + "</figure>\n";
}

// One run of every policy, the first; not of ample RAM, which has no frames.
std::vector<const RunRecord*> samples_of(const std::vector<RunRecord>& records,
                                         const ScenarioSummary& scenario) {
  std::vector<const RunRecord*> samples;
  std::set<std::string> seen = {kAmple, kRecorded};
  for (const RunRecord& record : records) {
    if (place_of(record.key) == scenario.place && seen.insert(record.key.policy).second) {
      samples.push_back(&record);
    }
  }
  return samples;
}

std::string conditions_html(const ScenarioSummary& scenario) {
  std::string html =
      "<table>\n<tr>" + html_text_cell("pooled") + html_text_cell(pooled(scenario)) + "</tr>\n";
  for (const auto& [name, value] : scenario.conditions) {
    html += "<tr>" + html_text_cell(name) + html_text_cell(value) + "</tr>\n";
  }
  return html + "</table>\n";
}

// Empty when no workload goes over blocks.
Result<std::string> blocks_html(const ScenarioSummary& scenario, const std::string& folder) {
  if (block_sizes(scenario).empty()) {
    return std::string();
  }
  std::string html = std::string("<p>") + kBlocks + ".</p>\n" + html_table(block_rows(scenario), 2);
  for (std::size_t vm = 0; vm < scenario.policies.front().vms.size(); ++vm) {
    const auto plot = figure(blocks_plot(scenario, vm), folder);
    FALLOW_TRY(plot);
    html += *plot;
  }
  return html;
}

Result<std::string> scenario_html(const std::vector<RunRecord>& records,
                                  const ScenarioSummary& scenario, const std::string& folder) {
  std::string html = "<h2>" + html_escaped(scenario.place.scenario) + "</h2>\n<p>" +
                     html_escaped(heading(scenario)) + ".</p>\n" + conditions_html(scenario);
  std::vector<Row> rows = {head_row()};
  for (const PolicySummary& policy : scenario.policies) {
    rows.push_back(policy_row(policy));
  }
  const auto totals = figure(totals_plot(scenario), folder);
  FALLOW_TRY(totals);
  html += html_table(rows) + *totals + html_table(vm_rows(scenario), 2);
  const auto blocks = blocks_html(scenario, folder);
  FALLOW_TRY(blocks);
  html += *blocks;
  for (const RunRecord* record : samples_of(records, scenario)) {
    const auto frames = figure(frames_plot(*record), folder);
    FALLOW_TRY(frames);
    html += *frames;
  }
  return html;
}

// Of the same place; where there is none, of the same but for what the scenario's file and
// --demotion said: that may be what is compared.
const ScenarioSummary* counterpart(const ScenarioSummary& one,
                                   const std::vector<ScenarioSummary>& others) {
  const ScenarioSummary* like = nullptr;
  for (const ScenarioSummary& other : others) {
    if (other.place == one.place) {
      return &other;
    }
    RunKey place = other.place;
    place.fingerprint = one.place.fingerprint;
    like = like == nullptr && place == one.place ? &other : like;
  }
  return like;
}

// It had memory for all, as none of those that it would stand beside.
bool is_recorded(const RunRecord& record) {
  return record.key.policy == kRecorded;
}

constexpr char kIntroduction[] =
    "<p>Running times are seconds of the workloads in each VM, pauses apart, mean ± deviation over "
    "the repetitions. A slowdown is against the same scenario with ample RAM, in which the VMs "
    "share the processors too; fairness is Jain's index over the VMs' slowdowns. Failed puts are "
    "pages that memory refused, which went to the backing store. A VM's share is an equal part of "
    "the frames; it 'settled at' what it held, on average, in the last third of the time in which "
    "all VMs ran. Pages swapped out and in are as the guests count them.</p>\n";

}  // namespace

std::string to_table(const std::vector<ScenarioSummary>& scenarios) {
  std::string text;
  for (const ScenarioSummary& scenario : scenarios) {
    std::vector<Row> rows = {head_row()};
    for (const PolicySummary& policy : scenario.policies) {
      rows.push_back(policy_row(policy));
    }
    text += (text.empty() ? "" : "\n") + heading(scenario) + "\n" + conditions_text(scenario) +
            "\n" + aligned(rows) + "\n" + aligned(vm_rows(scenario));
    if (!block_sizes(scenario).empty()) {
      text += std::string("\n") + kBlocks + ":\n" + aligned(block_rows(scenario));
    }
  }
  return text;
}

std::string to_text(const std::vector<Finding>& all) {
  std::string text;
  for (const Finding& finding : all) {
    text += std::string(word_of(finding.verdict)) + ": " + finding.text +
            (finding.figures.empty() ? "" : " (" + finding.figures + ")") + "\n";
  }
  return text;
}

std::string to_json(const std::vector<ScenarioSummary>& scenarios,
                    const std::vector<Finding>& all) {
  Json list = Json::array();
  for (const ScenarioSummary& scenario : scenarios) {
    Json policies = Json::array();
    for (const PolicySummary& policy : scenario.policies) {
      policies.push_back(json_of(policy));
    }
    list.push_back({{"scenario", scenario.place.scenario},
                    {"guest", scenario.place.guest},
                    {"backing", scenario.place.backing},
                    {"data", scenario.place.data},
                    {"scale", scenario.place.scale},
                    {"frames_total", scenario.frames_total},
                    {"conditions", scenario.conditions},
                    {"policies", policies}});
  }
  Json found = Json::array();
  for (const Finding& finding : all) {
    found.push_back({{"finding", finding.text},
                     {"verdict", word_of(finding.verdict)},
                     {"figures", finding.figures}});
  }
  return Json({{"scenarios", list}, {"findings", found}}).dump(2) + "\n";
}

std::string runs_csv(const std::vector<RunRecord>& records) {
  std::string csv =
      "scenario,guest,backing,policy,repetition,vm,run,workload,start_s,seconds,stopped,"
      "checksum\n";
  for (const RunRecord& record : records) {
    if (is_recorded(record)) {
      continue;
    }
    for (const VmRecord& vm : record.vms) {
      for (std::size_t i = 0; i < vm.runs.size(); ++i) {
        const WorkloadRecord& run = vm.runs[i];
        csv += csv_quoted(record.key.scenario) + "," + csv_quoted(record.key.guest) + "," +
               csv_quoted(record.key.backing) + "," + csv_quoted(record.key.policy) + "," +
               std::to_string(record.key.repetition) + "," + vm.name + "," + std::to_string(i) +
               "," + run.workload + "," + decimal(run.start_s, 3) + "," + decimal(run.seconds, 3) +
               "," + (run.stopped ? "1" : "0") + "," + csv_quoted(run.checksum) + "\n";
      }
    }
  }
  return csv;
}

std::string frames_csv(const std::vector<RunRecord>& records) {
  std::string csv = "scenario,policy,repetition,at_s,vm,used,target\n";
  for (const RunRecord& record : records) {
    if (is_recorded(record)) {
      continue;
    }
    const std::string place = csv_quoted(record.key.scenario) + "," +
                              csv_quoted(record.key.policy) + "," +
                              std::to_string(record.key.repetition) + ",";
    for (const FramesRecord& frames : record.frames) {
      const std::size_t vms =
          std::min({frames.used.size(), frames.target.size(), record.vms.size()});
      for (std::size_t vm = 0; vm < vms; ++vm) {
        csv += place + decimal(frames.at_s, 3) + "," + record.vms[vm].name + "," +
               std::to_string(frames.used[vm]) + "," + std::to_string(frames.target[vm]) + "\n";
      }
    }
  }
  return csv;
}

std::string blocks_csv(const std::vector<RunRecord>& records) {
  std::string csv = "scenario,policy,repetition,at_s,vm,block_bytes,milliseconds\n";
  for (const RunRecord& record : records) {
    if (is_recorded(record)) {
      continue;
    }
    const std::string place = csv_quoted(record.key.scenario) + "," +
                              csv_quoted(record.key.policy) + "," +
                              std::to_string(record.key.repetition) + ",";
    for (const VmRecord& vm : record.vms) {
      for (const StepRecord& step : vm.steps) {
        csv += place + decimal(step.at_s, 3) + "," + vm.name + "," + std::to_string(step.bytes) +
               "," + std::to_string(step.milliseconds) + "\n";
      }
    }
  }
  return csv;
}

Status write_report(const std::vector<RunRecord>& records,
                    const std::vector<ScenarioSummary>& scenarios, const std::vector<Finding>& all,
                    const std::string& folder) {
  FALLOW_TRY(make_folder(folder));
  // The data first: they are whole even if a plot cannot be drawn.
  FALLOW_TRY(write_text_file(folder + "/runs.csv", runs_csv(records)));
  FALLOW_TRY(write_text_file(folder + "/frames.csv", frames_csv(records)));
  FALLOW_TRY(write_text_file(folder + "/blocks.csv", blocks_csv(records)));
  FALLOW_TRY(write_text_file(folder + "/summary.json", to_json(scenarios, all)));
  const TempDir scratch;
  std::string html = html_head("Fallow: scenarios under policies") + kIntroduction +
                     "<h2>Findings</h2>\n" + findings_html(all);
  for (const ScenarioSummary& scenario : scenarios) {
    const auto part = scenario_html(records, scenario, scratch.path());
    FALLOW_TRY(part);
    html += *part;
  }
  return write_text_file(folder + "/report.html", html + "</body></html>\n");
}

std::vector<Difference> compare(const std::vector<ScenarioSummary>& left,
                                const std::vector<ScenarioSummary>& right) {
  std::vector<Difference> all;
  for (const ScenarioSummary& one : left) {
    const ScenarioSummary* other = counterpart(one, right);
    for (const PolicySummary& policy : one.policies) {
      const PolicySummary* same = other == nullptr ? nullptr : find_policy(*other, policy.policy);
      if (same == nullptr || same->vms.size() != policy.vms.size()) {
        continue;
      }
      const auto add = [&](const std::string& what, const Mean& a, const Mean& b) {
        all.push_back({one.place.scenario, policy.policy, what, a, b, differ(a, b)});
      };
      add("all VMs", policy.total_s, same->total_s);
      for (std::size_t vm = 0; vm < policy.vms.size(); ++vm) {
        add(policy.vms[vm].name, policy.vms[vm].running_s, same->vms[vm].running_s);
      }
    }
  }
  return all;
}

std::string to_table(const std::vector<Difference>& differences) {
  std::vector<Row> rows = {{"scenario", "policy", "running time of", "left (s)", "right (s)",
                            "right / left", "beyond noise"}};
  for (const Difference& one : differences) {
    rows.push_back({one.scenario, one.policy, one.what, with_deviation(one.left, 2),
                    with_deviation(one.right, 2), decimal(one.right.mean / one.left.mean, 3),
                    one.beyond_noise ? "yes" : "no"});
  }
  return aligned(rows);
}

std::string to_json(const std::vector<Difference>& differences) {
  Json list = Json::array();
  for (const Difference& one : differences) {
    list.push_back({{"scenario", one.scenario},
                    {"policy", one.policy},
                    {"what", one.what},
                    {"left", json_of(one.left)},
                    {"right", json_of(one.right)},
                    {"beyond_noise", one.beyond_noise}});
  }
  return list.dump(2) + "\n";
}

}  // namespace fallow::lab
