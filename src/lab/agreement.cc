#include "lab/agreement.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/disk_speed.h"
#include "lab/paths.h"
#include "lab/table.h"
#include "pager/pager.h"
#include "recording/file.h"
#include "sim/replay.h"

namespace fallow::lab {
namespace {

using Json = nlohmann::json;

// What cannot be told apart in single runs.
constexpr double kNoise = 0.02;

double hidden_between(const Mean& left, const Mean& right) {
  return left.count < 2 || right.count < 2 ? kNoise * std::min(left.mean, right.mean)
                                           : noise_between(left, right);
}

int order_of(double left, double right, double noise) {
  return std::abs(left - right) <= noise ? 0 : left < right ? -1 : 1;
}

// The run that was recorded says what its setting was.
const RunRecord* recorded_run(const ScenarioSummary& summary,
                              const std::vector<RunRecord>& records) {
  const auto found = std::find_if(records.rbegin(), records.rend(), [&](const RunRecord& record) {
    RunKey place = place_of(record.key);
    place.backing = summary.place.backing;  // nothing went there
    return record.key.policy == kRecorded && place == summary.place;
  });
  return found == records.rend() ? nullptr : &*found;
}

Result<sim::ReplaySettings> settings_of(const ScenarioSummary& summary, const RunRecord& recorded) {
  sim::ReplaySettings settings{.frames = summary.frames_total};
  const auto backing =
      DiskSpeed::parse(summary.place.backing.substr(0, summary.place.backing.find(' ')));
  FALLOW_TRY(backing);
  settings.client.backing = *backing;
  const auto rate = recorded.conditions.find("demotion");
  const auto demotion =
      pager::Pager::parse_demotion(rate == recorded.conditions.end() ? "off" : rate->second);
  FALLOW_TRY(demotion);
  settings.client.demotion_pages_per_second = *demotion;
  return settings;
}

// Before anything is replayed.
Agreement agreement_of(const ScenarioSummary& summary) {
  return {.scenario = summary.place.scenario,
          .guest = summary.place.guest,
          .backing = summary.place.backing};
}

Result<Agreement> find_agreement(const ScenarioSummary& summary, const RunRecord& recorded,
                                 const std::string& path) {
  const auto recording = recording::read_recording(path);
  FALLOW_TRY(recording);
  const auto script = sim::make_script(*recording);
  if (!script) {
    return invalid(path + ": " + script.error().text);
  }
  const auto settings = settings_of(summary, recorded);
  FALLOW_TRY(settings);
  Agreement agreement = agreement_of(summary);
  agreement.doubts = script->doubts;
  std::vector<std::string> specs;
  for (const PolicySummary& policy : summary.policies) {
    if (policy.policy != kAmple) {
      specs.push_back(policy.policy);
      agreement.policies.push_back({.policy = policy.policy, .real_s = policy.total_s});
    }
  }
  const auto outcomes = sim::replay_all(*script, *settings, specs);
  FALLOW_TRY(outcomes);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    agreement.policies[i].replayed_s = (*outcomes)[i].total_s;
  }
  agreement.tau = kendall_tau(agreement.policies);
  std::stable_sort(agreement.policies.begin(), agreement.policies.end(),
                   [](const ComparedPolicy& a, const ComparedPolicy& b) {
                     return a.real_s.mean < b.real_s.mean;
                   });
  return agreement;
}

std::string or_dash(const std::optional<double>& value) {
  return value ? decimal(*value, 2) : "-";
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

std::optional<double> kendall_tau(const std::vector<ComparedPolicy>& policies) {
  if (policies.size() < 2) {
    return std::nullopt;
  }
  double agreeing = 0;  // pairs, less those that disagree
  double real = 0;      // pairs that are no tie
  double replayed = 0;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    for (std::size_t j = i + 1; j < policies.size(); ++j) {
      const double noise = hidden_between(policies[i].real_s, policies[j].real_s);
      const int left = order_of(policies[i].real_s.mean, policies[j].real_s.mean, noise);
      const int right = order_of(policies[i].replayed_s, policies[j].replayed_s, noise);
      agreeing += left * right;
      real += left != 0;
      replayed += right != 0;
    }
  }
  if (real == 0 || replayed == 0) {
    return real == replayed ? 1 : 0;
  }
  return agreeing / std::sqrt(real * replayed);
}

std::string recording_path(const std::string& folder, const std::string& scenario) {
  return folder + "/" + scenario + ".trace";
}

Result<bool> has_recording(const std::string& folder, const std::vector<RunRecord>& records,
                           const RunKey& recorded) {
  const auto last = std::find_if(records.rbegin(), records.rend(), [&](const RunRecord& record) {
    return record.key.policy == kRecorded && record.key.scenario == recorded.scenario;
  });
  return last != records.rend() && last->key == recorded
             ? is_there(recording_path(folder, recorded.scenario))
             : Result<bool>(false);
}

Result<std::vector<Agreement>> find_agreements(const std::string& folder,
                                               const std::vector<RunRecord>& records) {
  std::vector<Agreement> agreements;
  std::optional<Error> first;  // one that cannot be replayed hides no other
  for (const ScenarioSummary& summary : summarize(records)) {
    const RunRecord* recorded = recorded_run(summary, records);
    if (recorded == nullptr) {
      continue;
    }
    const auto there = has_recording(folder, records, recorded->key);
    FALLOW_TRY(there);
    if (!*there) {
      continue;
    }
    Result<Agreement> agreement =
        find_agreement(summary, *recorded, recording_path(folder, summary.place.scenario));
    if (agreement) {
      agreements.push_back(*std::move(agreement));
    } else {
      agreements.push_back(agreement_of(summary));
      agreements.back().error = agreement.error().text;
      first = first ? first : agreement.error();
    }
  }
  if (agreements.empty()) {
    return invalid("no recording in " + folder + ": see `fallow-lab run --record`");
  }
  const bool some = std::any_of(agreements.begin(), agreements.end(),
                                [](const Agreement& one) { return one.error.empty(); });
  return some ? Result<std::vector<Agreement>>(std::move(agreements)) : *first;
}

std::optional<double> mean_tau(const std::vector<Agreement>& agreements) {
  double sum = 0;
  double count = 0;
  for (const Agreement& agreement : agreements) {
    sum += agreement.tau.value_or(0);
    count += agreement.tau.has_value();
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::string to_table(const std::vector<Agreement>& agreements) {
  std::string text;
  for (const Agreement& agreement : agreements) {
    text += agreement.scenario + ", guests: " + agreement.guest +
            ", backing store: " + agreement.backing + ": tau " + or_dash(agreement.tau) + "\n";
    for (const std::string& doubt : agreement.doubts) {
      text += "warning: " + doubt + "\n";
    }
    if (!agreement.error.empty()) {
      text += "error: " + agreement.error + "\n\n";
      continue;
    }
    std::vector<Row> rows = {{"policy", "", "real (s)", "replayed (s)"}};
    for (const ComparedPolicy& policy : agreement.policies) {
      rows.push_back(
          {policy.policy, "", decimal(policy.real_s.mean, 2), decimal(policy.replayed_s, 2)});
    }
    text += aligned(rows) + "\n";
  }
  return text + "mean tau: " + or_dash(mean_tau(agreements)) + "\n";
}

std::string to_json(const std::vector<Agreement>& agreements) {
  Json all = Json::array();
  for (const Agreement& agreement : agreements) {
    Json policies = Json::array();
    for (const ComparedPolicy& policy : agreement.policies) {
      policies.push_back({{"policy", policy.policy},
                          {"real_s", policy.real_s.mean},
                          {"deviation", policy.real_s.deviation},
                          {"repetitions", policy.real_s.count},
                          {"replayed_s", policy.replayed_s}});
    }
    all.push_back({{"scenario", agreement.scenario},
                   {"guest", agreement.guest},
                   {"backing", agreement.backing},
                   {"tau", number_or_null(agreement.tau)},
                   {"doubts", agreement.doubts},
                   {"error", agreement.error.empty() ? Json(nullptr) : Json(agreement.error)},
                   {"policies", policies}});
  }
  const Json whole = {{"scenarios", all}, {"mean_tau", number_or_null(mean_tau(agreements))}};
  return whole.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fallow::lab
