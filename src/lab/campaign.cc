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

std::string describe(const LabSetting& setting) {
  return setting.guest == GuestKind::kProcess ? "process"
                                              : "vm (" + describe(setting.accelerator) + ")";
}

std::vector<PlannedRun> plan_runs(const CampaignSettings& settings) {
  std::vector<PlannedRun> runs;
  std::set<RunKey> keys;  // a scenario may be named twice
  const auto add = [&](std::size_t scenario, const RunKey& key) {
    if (keys.insert(key).second) {
      runs.push_back({scenario, key});
    }
  };
  for (std::size_t i = 0; i < settings.scenarios.size(); ++i) {
    const Scenario& scenario = settings.scenarios[i];
    const std::vector<std::string>& policies =
        !settings.policies.empty()
            ? settings.policies
            : (scenario.policies.empty() ? policy::tried_policies() : scenario.policies);
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
    add(i, key);
    if (!settings.recordings.empty()) {
      key.policy = kRecorded;
      add(i, key);
    }
    for (key.repetition = 0; key.repetition < repetitions; ++key.repetition) {
      for (const std::string& policy : policies) {
        key.policy = policy;
        add(i, key);
      }
    }
  }
  return runs;
}

Result<std::vector<PlannedRun>> runs_to_make(const std::vector<PlannedRun>& planned,
                                             const std::vector<RunRecord>& before,
                                             const std::string& recordings) {
  std::set<RunKey> made;
  for (const RunRecord& record : before) {
    made.insert(record.key);
  }
  std::vector<PlannedRun> left;
  for (const PlannedRun& run : planned) {
    bool there = made.contains(run.key);
    if (there && run.key.policy == kRecorded) {
      const auto recording = has_recording(recordings, before, run.key);
      FALLOW_TRY(recording);
      there = *recording;
    }
    if (!there) {
      left.push_back(run);
    }
  }
  return left;
}

Status run_campaign(LabLoop& loop, Progress& progress, const CampaignSettings& settings) {
  const auto before = read_run_records(settings.runs_path);
  FALLOW_TRY(before);
  const std::vector<PlannedRun> planned = plan_runs(settings);
  const auto left_to_make = runs_to_make(planned, *before, settings.recordings);
  FALLOW_TRY(left_to_make);
  const std::vector<PlannedRun>& runs = *left_to_make;
  const std::uint64_t start_ms = loop.now_ms();
  for (std::size_t i = 0; i < runs.size(); ++i) {
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
    const double done = static_cast<double>(i + 1) / static_cast<double>(runs.size());
    const std::string left = time_left(static_cast<double>(loop.now_ms() - start_ms) / 1000, done);
    progress.say(label + ": " + seconds(record->seconds) + ", running times together " +
                 seconds(total_running_s(*record)) +
                 (left.empty() || i + 1 == runs.size() ? "" : "; " + left));
  }
  if (runs.size() < planned.size()) {
    progress.say(std::to_string(planned.size() - runs.size()) + " of " +
                 std::to_string(planned.size()) + " runs were there already");
  }
  return {};
}

}  // namespace fallow::lab
