// Carries the usemem scenario out: a daemon, three guests, one policy after the other.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "lab/accelerator.h"
#include "lab/daemon.h"
#include "lab/lab_record.h"
#include "lab/progress.h"
#include "lab/virtual_machine.h"

namespace fallow::lab {

struct UsememSettings {
  UsememSizes sizes{};
  std::vector<std::string> policies{};
  std::uint64_t interval_ms = 0;
  std::string demotion = "off";
  bool fresh_boot = false;
  AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
  std::string daemon_program{};
  std::string image_folder{};
};

class UsememRun {
 public:
  UsememRun(LabLoop& loop, Progress& progress, UsememSettings settings);
  ~UsememRun();

  // Everything, from the probe to the last policy. One call.
  Result<LabRecord> run();

 private:
  struct PolicyRun;  // what is only there while a policy runs

  Status prepare();
  Status measure_host();
  Status start_daemon();
  Status boot_machines();
  MachineSettings machine_settings(const node::VmView& disk) const;

  Status run_policy(const std::string& spec);
  Status empty_disks();
  Status turn_swap(const std::string& command);
  Status begin(PolicyRun& run);
  Status drive(PolicyRun& run);
  void note_dead_machines(PolicyRun& run) const;
  Status end(PolicyRun& run);
  Status record_before(PolicyRun& run);
  Status record_after(PolicyRun& run);

  Status start_workload(PolicyRun& run, std::size_t machine);
  void take_line(PolicyRun& run, std::size_t machine, const GuestLine& line);
  void sample(PolicyRun& run);
  void show_progress(const PolicyRun& run);

  LabLoop& loop_;
  Progress& progress_;
  const UsememSettings settings_;
  const TempDir folder_;
  GuestImage image_;
  Accelerator accelerator_ = Accelerator::kTcg;
  LabRecord record_;
  std::unique_ptr<Daemon> daemon_;
  // After the daemon, so that they are ended first: it still serves their disks then.
  std::array<std::unique_ptr<Guest>, kMachineCount> machines_;
  std::uint64_t start_ms_ = 0;
};

}  // namespace fallow::lab
