// Carries a scenario out once under one policy: a daemon of its own, its guests, and what came of
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "lab/accelerator.h"
#include "lab/daemon.h"
#include "lab/guest.h"
#include "lab/memory_needs.h"
#include "lab/progress.h"
#include "lab/run_record.h"
#include "lab/run_recorder.h"
#include "lab/scenario.h"
#include "lab/scenario_state.h"

namespace fallow::lab {

// What all runs of one call of the lab have in common.
struct LabSetting {
  GuestKind guest = GuestKind::kProcess;
  std::string programs{};     // folder of fallow and fallowd, and of the workloads' dynamic/
  std::string data_folder{};  // real data sets; empty: none
  // Of machines.
  Accelerator accelerator = Accelerator::kTcg;
  GuestImage image{};
  std::string qemu_version{};
  std::uint64_t overhead_bytes = 0;  // what a guest's kernel keeps: it gets so much more RAM
};

class ScenarioRun {
 public:
  // All must outlive it; `scenario` is scaled already.
  ScenarioRun(LabLoop& loop, Progress& progress, const LabSetting& setting,
              const Scenario& scenario, RunKey key, std::string label);
  ~ScenarioRun();

  // Before run(), whose policy is kRecorded: what the daemon does goes to this file.
  void record_to(const std::string& path) { recording_path_ = path; }
  // One call. kFailed, too, when a workload found wrong content or ended with an error.
  Result<RunRecord> run();

 private:
  [[nodiscard]] bool ample() const { return record_.key.policy == kAmple; }
  [[nodiscard]] std::uint64_t now_ns() const { return loop_.now_ms() * 1'000'000; }
  [[nodiscard]] double now_s() const;
  [[nodiscard]] bool recorded() const { return record_.key.policy == kRecorded; }
  [[nodiscard]] std::uint64_t pool_bytes() const;
  [[nodiscard]] std::uint64_t ram_of(const VmPlan& vm) const;

  void note_conditions();
  Status start_daemon();
  Result<std::unique_ptr<Guest>> start_process(const VmPlan& vm);
  Result<std::unique_ptr<Guest>> start_machine_of(const VmPlan& vm);
  Status start_guests();
  Status begin();
  Status drive();
  Status start_due();
  Status stop_all();
  Status end();
  Status read_pager_report(std::size_t vm);

  [[nodiscard]] std::vector<std::string> command(const Occasion& occasion) const;
  void take_line(std::size_t vm, const GuestLine& line);
  void take_end(std::size_t vm, std::uint64_t exit_code);
  void note_dead_guests();
  void sample();
  void note_figures(const node::NodeSnapshot& snapshot);
  void show_progress();

  LabLoop& loop_;
  Progress& progress_;
  const LabSetting& setting_;
  const Scenario& scenario_;
  const std::string label_;
  const TempDir folder_;
  const TempDir backing_{"/var/tmp"};
  std::unique_ptr<Daemon> daemon_;
  // After the daemon, so that they are ended first: it still serves them then.
  std::vector<std::unique_ptr<Guest>> guests_;
  std::optional<ScenarioState> state_;
  std::uint64_t start_ms_ = 0;
  std::string recording_path_;
  std::unique_ptr<RunRecorder> recorder_;  // while it records
  bool stopping_ = false;
  std::optional<Error> error_;
  RunRecord record_;
};

}  // namespace fallow::lab
