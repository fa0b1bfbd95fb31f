#include "lab/scenario_run.h"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "lab/process_guest.h"
#include "lab/virtual_machine.h"
#include "lab/workloads.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kBootMsMax = 180'000;
constexpr std::uint64_t kAnswerMsMax = 60'000;
constexpr std::uint64_t kRunMsMax = 3'600'000;
constexpr std::uint64_t kStopMsMax = 120'000;
constexpr std::uint64_t kEndMsMax = 60'000;
constexpr std::uint64_t kSampleMsMin = 100;
constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::size_t kReportBytesMax = std::size_t{1} << 20;

// The word behind "checksum" in what a workload says at its end.
std::string checksum_of(const std::string& text) {
  constexpr std::string_view kBefore = "checksum ";
  const std::size_t at = text.find(kBefore);
  return at == std::string::npos
             ? ""
             : text.substr(at + kBefore.size(),
                           text.find(' ', at + kBefore.size()) - at - kBefore.size());
}

void note_counters(std::map<std::string, double>& figures, const tmem::Counters& total) {
  figures["puts"] = static_cast<double>(total.puts_total);
  figures["puts_failed"] = static_cast<double>(total.puts_total - total.puts_succ);
  figures["gets"] = static_cast<double>(total.gets_total);
  figures["pages_flushed"] = static_cast<double>(total.pages_flushed);
  figures["pages_demoted"] = static_cast<double>(total.pages_demoted);
}

}  // namespace

ScenarioRun::ScenarioRun(LabLoop& loop, Progress& progress, const LabSetting& setting,
                         const Scenario& scenario, RunKey key, std::string label)
    : loop_(loop),
      progress_(progress),
      setting_(setting),
      scenario_(scenario),
      label_(std::move(label)) {
  record_.key = std::move(key);
}

ScenarioRun::~ScenarioRun() = default;

Result<RunRecord> ScenarioRun::run() {
  progress_.show(label_ + ": its VMs start", loop_.now_ms());
  note_conditions();
  if (!ample()) {
    FALLOW_TRY(start_daemon());
  }
  Status status = start_guests();
  if (status) {
    status = begin();
  }
  const std::uint64_t sample_ms = std::max(scenario_.interval_ns / kNsPerMs, kSampleMsMin);
  const auto timer = loop_.events().every_ns(sample_ms * kNsPerMs, [this] { sample(); });
  FALLOW_TRY(timer);
  if (status) {
    status = drive();
  }
  loop_.events().cancel(*timer);
  if (status) {
    status = end();
  }
  if (!status) {
    return loop_.interrupted() || daemon_ == nullptr ? status.error()
                                                     : daemon_->explain(status.error());
  }
  return record_;
}

void ScenarioRun::note_conditions() {
  std::map<std::string, std::string>& conditions = record_.conditions;
  conditions["host CPUs"] = std::to_string(std::thread::hardware_concurrency());
  conditions["interval"] = std::to_string(scenario_.interval_ns / kNsPerMs) + " ms";
  conditions["demotion"] = scenario_.demotion;
  if (setting_.guest == GuestKind::kMachine) {
    conditions["QEMU"] = setting_.qemu_version;
    conditions["guest image"] = setting_.image.version;
    conditions["a guest's kernel keeps"] =
        format_size(setting_.overhead_bytes) + ", given besides the scenario's RAM";
  }
}

double ScenarioRun::now_s() const {
  return static_cast<double>(loop_.now_ms() - start_ms_) / 1000;
}

std::uint64_t ScenarioRun::ram_of(const VmPlan& vm) const {
  return ample() ? ample_ram_bytes(vm, setting_.guest, setting_.overhead_bytes)
                 : ram_bytes(vm, setting_.guest, setting_.overhead_bytes);
}

std::uint64_t ScenarioRun::pool_bytes() const {
  return recorded() ? recorded_pool_bytes(scenario_, setting_.guest) : scenario_.memory_bytes;
}

Status ScenarioRun::start_daemon() {
  const DaemonSettings settings{
      .program = setting_.programs + "/fallowd",
      .memory_bytes = pool_bytes(),
      .interval_ms = scenario_.interval_ns / kNsPerMs,
      .demotion = scenario_.demotion,
      .first_policy = recorded() ? "greedy" : record_.key.policy,
      .backing_speed = setting_.guest == GuestKind::kMachine ? scenario_.backing : "disk"};
  auto daemon = Daemon::start(loop_, settings, folder_.path());
  FALLOW_TRY(daemon);
  daemon_ = *std::move(daemon);
  const auto status = daemon_->client().status();
  FALLOW_TRY(status);
  record_.frames_total = status->frames_total;
  record_.conditions["fallow"] = status->version;
  if (recorded()) {
    recorder_ = std::make_unique<RunRecorder>(daemon_->client(), scenario_, recording_path_);
    return recorder_->start();
  }
  return {};
}

Result<std::unique_ptr<Guest>> ScenarioRun::start_process(const VmPlan& vm) {
  return start_process_guest(loop_, {.name = vm.name,
                                     .folder = folder_.path(),
                                     .fallow = setting_.programs + "/fallow",
                                     .agent = setting_.programs + "/dynamic/guest-agent",
                                     .ram_bytes = ram_of(vm),
                                     .ring_socket = folder_.path() + "/ring.sock",
                                     .backing_folder = backing_.path(),
                                     .backing_speed = scenario_.backing,
                                     .demotion = scenario_.demotion});
}

Result<std::unique_ptr<Guest>> ScenarioRun::start_machine_of(const VmPlan& vm) {
  MachineSettings settings{.name = vm.name, .folder = folder_.path()};
  settings.qemu.accelerator = setting_.accelerator;
  settings.qemu.ram_bytes = ram_of(vm);
  settings.qemu.cpus = vm.cpus;
  settings.qemu.kernel_path = setting_.image.kernel_path;
  settings.qemu.initramfs_path = setting_.image.initramfs_path;
  if (!ample()) {
    const auto disk = daemon_->client().add_vm({.name = vm.name, .size_bytes = vm.disk_bytes});
    FALLOW_TRY(disk);
    settings.qemu.disk_socket = disk->socket_path;
  }
  return start_machine(loop_, settings);
}

// They come to the daemon in the order of the scenario, always: what a VM gets at first depends on
// how many are there. Machines, whose disks are there before them, may boot side by side.
Status ScenarioRun::start_guests() {
  for (const VmPlan& vm : scenario_.vms) {
    const bool machine = setting_.guest == GuestKind::kMachine;
    auto guest = machine ? start_machine_of(vm) : start_process(vm);
    FALLOW_TRY(guest);
    guests_.push_back(*std::move(guest));
    if (!machine) {
      FALLOW_TRY(guests_.back()->wait_ready(kBootMsMax));
    }
  }
  for (const auto& guest : guests_) {
    FALLOW_TRY(guest->wait_ready(kBootMsMax));
    if (setting_.guest == GuestKind::kMachine && !ample()) {
      FALLOW_TRY(guest->command("swapon", kAnswerMsMax));
    }
  }
  return {};
}

Status ScenarioRun::begin() {
  for (std::size_t i = 0; i < guests_.size(); ++i) {
    record_.vms.push_back({.name = scenario_.vms[i].name});
    guests_[i]->on_workload([this, i](const GuestLine& line) { take_line(i, line); });
  }
  start_ms_ = loop_.now_ms();
  state_.emplace(scenario_, now_ns());
  sample();
  return {};
}

Status ScenarioRun::drive() {
  while (!state_->over()) {
    if (state_->stop_is_due(now_ns())) {
      return stop_all();
    }
    FALLOW_TRY(start_due());
    bool timed = false;
    const auto next = state_->next_ns();
    const auto something = [&] {
      note_dead_guests();
      timed = next && now_ns() >= *next;
      return timed || error_ || state_->over() || state_->next_ns() != next;
    };
    FALLOW_TRY(loop_.wait_until(something, kRunMsMax, "the end of " + record_.key.scenario));
    if (error_) {
      return *error_;
    }
  }
  return {};
}

Status ScenarioRun::start_due() {
  for (const Occasion& occasion : state_->due(now_ns())) {
    record_.vms[occasion.vm].runs.push_back(
        {.workload = scenario_.vms[occasion.vm].runs[occasion.run].workload, .start_s = now_s()});
    if (recorder_ != nullptr) {
      const Trigger& start = scenario_.vms[occasion.vm].runs[occasion.run].start;
      recorder_->marks().begin(occasion.vm, occasion.time == 0 ? start : Trigger{},
                               recorder_->now_ns());
    }
    FALLOW_TRY(guests_[occasion.vm]->start_workload(command(occasion), kAnswerMsMax));
  }
  return {};
}

Status ScenarioRun::stop_all() {
  stopping_ = true;
  std::vector<bool> running;
  for (std::size_t vm = 0; vm < guests_.size(); ++vm) {
    running.push_back(state_->running(vm).has_value());
    if (running.back()) {
      if (recorder_ != nullptr) {
        recorder_->marks().stop(vm, *scenario_.stop, recorder_->now_ns());
      }
      record_.vms[vm].runs.back().stopped = true;
      take_end(vm, 0);  // its time ends here: it is not to wait for its last fault
      guests_[vm]->send("stop");
    }
  }
  for (std::size_t vm = 0; vm < guests_.size(); ++vm) {
    if (running[vm]) {
      FALLOW_TRY(guests_[vm]->wait_workload_end(kStopMsMax));
    }
  }
  return error_ ? Status(*error_) : Status();
}

Status ScenarioRun::end() {
  record_.seconds = now_s();
  sample();
  if (recorder_ != nullptr) {
    FALLOW_TRY(recorder_->end());
    recorder_.reset();
  }
  if (daemon_ != nullptr) {
    const auto snapshot = daemon_->client().list_vms();
    FALLOW_TRY(snapshot);
    note_figures(*snapshot);
  }
  for (std::size_t vm = 0; vm < guests_.size(); ++vm) {
    guests_[vm]->on_workload(nullptr);
    if (setting_.guest == GuestKind::kProcess && !ample()) {
      FALLOW_TRY(read_pager_report(vm));
    } else if (setting_.guest == GuestKind::kMachine) {
      const auto memory = guests_[vm]->memory(kAnswerMsMax);
      FALLOW_TRY(memory);
      record_.vms[vm].figures["pswpin"] = static_cast<double>(memory->pages_in);
      record_.vms[vm].figures["pswpout"] = static_cast<double>(memory->pages_out);
    }
  }
  return error_ ? Status(*error_) : Status();
}

// What `fallow run --report --json` prints at its end.
Status ScenarioRun::read_pager_report(std::size_t vm) {
  Guest& guest = *guests_[vm];
  FALLOW_TRY(guest.power_off(kEndMsMax));
  const auto text = read_text_file(guest.settings().output_path(), kReportBytesMax);
  FALLOW_TRY(text);
  const std::size_t begin = text->rfind("{\"exit_code\"");
  const auto report =
      nlohmann::json::parse(begin == std::string::npos ? "" : text->substr(begin), nullptr, false);
  if (!report.is_object()) {
    return failed(guest.name() + ": the pager left no report: " + *text);
  }
  for (const auto& [key, value] : report.items()) {
    if (value.is_number()) {
      record_.vms[vm].figures["pager_" + key] = value.get<double>();
    }
  }
  return {};
}

std::vector<std::string> ScenarioRun::command(const Occasion& occasion) const {
  const RunPlan& plan = scenario_.vms[occasion.vm].runs[occasion.run];
  std::vector<std::string> words =
      workload_command(*find_workload(plan.workload), {.bytes = plan.bytes,
                                                       .step_bytes = plan.step_bytes,
                                                       .iterations = plan.iterations,
                                                       .seed = record_.key.seed + occasion.vm,
                                                       .for_ever = plan.for_ever,
                                                       .idle = plan.idle,
                                                       .data_folder = setting_.data_folder});
  if (setting_.guest == GuestKind::kProcess) {
    words.front() = setting_.programs + "/dynamic/" + words.front();
  }
  return words;
}

void ScenarioRun::take_line(std::size_t vm, const GuestLine& line) {
  const std::string& name = scenario_.vms[vm].name;
  if (recorder_ != nullptr) {
    recorder_->marks().take(vm, line, recorder_->now_ns());
  }
  if (line.kind == LineKind::kStep) {
    record_.vms[vm].steps.push_back({now_s(), line.number, line.milliseconds});
  } else if (line.kind == LineKind::kDone && !record_.vms[vm].runs.empty()) {
    record_.vms[vm].runs.back().checksum = checksum_of(line.text);
  } else if (line.kind == LineKind::kError && !error_) {
    error_ = failed(name + ": " + line.text);
  } else if (line.kind == LineKind::kExited) {
    if (!stopping_) {
      if (recorder_ != nullptr) {
        recorder_->marks().end(vm, recorder_->now_ns());
      }
      take_end(vm, line.number);
    } else if (line.number != 0 && line.number != 128 + SIGTERM && !error_) {
      error_ = failed(name + ": its workload ended with code " + std::to_string(line.number));
    }
  }
  if (state_) {
    state_->take(vm, line, now_ns());
  }
}

void ScenarioRun::take_end(std::size_t vm, std::uint64_t exit_code) {
  VmRecord& record = record_.vms[vm];
  WorkloadRecord& run = record.runs.back();
  run.seconds = now_s() - run.start_s;
  record.running_s += run.seconds;
  if (exit_code != 0 && !error_) {
    error_ =
        failed(record.name + ": " + run.workload + " ended with code " + std::to_string(exit_code));
  }
}

void ScenarioRun::note_dead_guests() {
  for (const auto& guest : guests_) {
    if (!guest->alive() && !error_) {
      error_ = failed(guest->name() + ": " + guest->settings().program +
                      " ended in the middle of the run");
    }
  }
}

void ScenarioRun::sample() {
  show_progress();
  if (daemon_ == nullptr || error_ || !state_) {
    return;
  }
  const auto snapshot = daemon_->client().list_vms();
  if (!snapshot) {
    error_ = snapshot.error();
    return;
  }
  FramesRecord frames{.at_s = now_s()};
  for (const VmPlan& plan : scenario_.vms) {
    frames.used.push_back(0);
    frames.target.push_back(0);
    const auto note = [&](const auto& view) {
      if (view.name == plan.name) {
        frames.used.back() = view.used;
        frames.target.back() = view.target;
      }
    };
    std::for_each(snapshot->vms.begin(), snapshot->vms.end(), note);
    std::for_each(snapshot->clients.begin(), snapshot->clients.end(), note);
  }
  record_.frames.push_back(std::move(frames));
}

void ScenarioRun::note_figures(const node::NodeSnapshot& snapshot) {
  for (VmRecord& record : record_.vms) {
    for (const node::VmView& vm : snapshot.vms) {
      if (vm.name == record.name) {
        note_counters(record.figures, vm.total);
        record.figures["memory_reads"] = static_cast<double>(vm.memory_reads);
        record.figures["backing_reads"] = static_cast<double>(vm.backing_reads);
        record.figures["memory_writes"] = static_cast<double>(vm.memory_writes);
        record.figures["backing_writes"] = static_cast<double>(vm.backing_writes);
      }
    }
    for (const node::ClientView& client : snapshot.clients) {
      if (client.name == record.name) {
        note_counters(record.figures, client.total);
      }
    }
  }
}

void ScenarioRun::show_progress() {
  std::string text =
      label_ + ", " + std::to_string((loop_.now_ms() - start_ms_) / 1000) + " s so far";
  for (std::size_t vm = 0; state_ && vm < guests_.size(); ++vm) {
    const auto running = state_->running(vm);
    text += "  " + scenario_.vms[vm].name + " " +
            (running ? scenario_.vms[vm].runs[running->run].workload : "waits");
    if (running && !record_.frames.empty()) {
      text += " " + std::to_string(record_.frames.back().used[vm]) + " frames";
    }
  }
  progress_.show(text, loop_.now_ms());
}

}  // namespace fallow::lab
