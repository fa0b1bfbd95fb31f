#include "lab/campaign.h"

#include <set>

#include "base/disk_speed.h"
#include "lab/agreement.h"
#include "lab/table.h"
#include "policy/policy_list.h"

namespace fallow::lab {
namespace {

std::string label_of(const PlannedRun& run, std::size_t number, std::size_t count) {
  return "[" + std::to_string(number) + "/" + std::to_string(count) + "] " + run.key.scenario +
         (run.key.policy == kAmple ? " with ample RAM" : " under " + run.key.policy) +
         ", repetition " + std::to_string(run.key.repetition + 1);
}

std::string seconds(double value) {
  return decimal(value, 1) + " s";
}

}  // namespace

const std::vector<std::string>& all_policies() {
  return policy::tried_policies();
}

std::string describe(const LabSetting& setting) {
  return setting.guest == GuestKind::kProcess ? "process"
                                              : "vm (" + describe(setting.accelerator) + ")";
}

std::vector<PlannedRun> plan_runs(const CampaignSettings& settings) {
  std::vector<PlannedRun> runs;
  for (std::size_t i = 0; i < settings.scenarios.size(); ++i) {
    const Scenario& scenario = settings.scenarios[i];
    const std::vector<std::string>& policies =
        !settings.policies.empty()
            ? settings.policies
            : (scenario.policies.empty() ? all_policies() : scenario.policies);
    const std::uint64_t repetitions =
        settings.repetitions == 0 ? scenario.repetitions : settings.repetitions;
    RunKey key{.scenario = scenario.name,
               .guest = describe(settings.lab),
               .policy = kAmple,
               .backing = DiskSpeed::parse(scenario.backing).value().described(),
               .scale = scenario.scale,
               .seed = scenario.seed,
               .data = settings.lab.data_folder.empty() ? "generated" : "files",
               .fingerprint = scenario.fingerprint};
    runs.push_back({i, key});
    if (!settings.recordings.empty()) {
      key.policy = kRecorded;
      runs.push_back({i, key});
    }
    for (key.repetition = 0; key.repetition < repetitions; ++key.repetition) {
      for (const std::string& policy : policies) {
        key.policy = policy;
        runs.push_back({i, key});
      }
    }
  }
  return runs;
}

Status run_campaign(LabLoop& loop, Progress& progress, const CampaignSettings& settings) {
  const auto before = read_run_records(settings.runs_path);
  FALLOW_TRY(before);
  std::set<RunKey> made;
  for (const RunRecord& record : *before) {
    made.insert(record.key);
  }
  const std::vector<PlannedRun> runs = plan_runs(settings);
  const std::uint64_t start_ms = loop.now_ms();
  std::size_t skipped = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (made.contains(runs[i].key)) {
      ++skipped;
      continue;
    }
    const std::string label = label_of(runs[i], i + 1, runs.size());
    ScenarioRun run(loop, progress, settings.lab, settings.scenarios[runs[i].scenario], runs[i].key,
                    label);
    if (runs[i].key.policy == kRecorded) {
      run.record_to(recording_path(settings.recordings, runs[i].key.scenario));
    }
    const auto record = run.run();
    if (!record) {
      return Error{record.error().code, label + ": " + record.error().text};
    }
    FALLOW_TRY(append_run_record(settings.runs_path, *record));
    const double done =
        static_cast<double>(i + 1 - skipped) / static_cast<double>(runs.size() - skipped);
    const std::string left = time_left(static_cast<double>(loop.now_ms() - start_ms) / 1000, done);
    progress.say(label + ": " + seconds(record->seconds) + ", running times together " +
                 seconds(total_running_s(*record)) +
                 (left.empty() || i + 1 == runs.size() ? "" : "; " + left));
  }
  if (skipped > 0) {
    progress.say(std::to_string(skipped) + " of " + std::to_string(runs.size()) +
                 " runs were there already");
  }
  return {};
}

}  // namespace fallow::lab
