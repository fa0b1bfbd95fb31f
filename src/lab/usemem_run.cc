#include "lab/usemem_run.h"

#include <thread>

#include "base/text.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kBootMsMax = 180'000;
constexpr std::uint64_t kAnswerMsMax = 60'000;
constexpr std::uint64_t kEmptyMsMax = 60'000;
constexpr std::uint64_t kPolicyMsMax = 3'600'000;
constexpr std::uint64_t kSampleMsMin = 100;
constexpr std::uint64_t kSampleMsMax = 1'000;
constexpr std::uint64_t kNsPerMs = 1'000'000;

std::string machine_name(std::size_t machine) {
  return "vm" + std::to_string(machine + 1);
}

std::string first_line(const std::string& path) {
  const auto text = read_text_file(path, std::size_t{1} << 16);
  return text ? text->substr(0, text->find('\n')) : "unknown";
}

std::string qemu_version(const std::string& folder) {
  const std::string output = folder + "/qemu-version";
  const Status ran = run_program({"qemu-system-x86_64", "--version"}, output, 10'000);
  return ran ? first_line(output) : "unknown";
}

const node::VmView* find_vm(const node::NodeSnapshot& snapshot, const std::string& name) {
  for (const node::VmView& vm : snapshot.vms) {
    if (vm.name == name) {
      return &vm;
    }
  }
  return nullptr;
}

}  // namespace

struct UsememRun::PolicyRun {
  explicit PolicyRun(const UsememSizes& sizes) : scenario(sizes) {}

  UsememScenario scenario;
  PolicyResult result;
  std::uint64_t start_ms = 0;
  bool third_is_due = false;
  std::array<std::uint64_t, kMachineCount> block{};  // what each is at
  std::array<GuestMemory, kMachineCount> before{};
  node::NodeSnapshot disks_before;
  node::NodeSnapshot latest;
  std::optional<Error> error;
};

UsememRun::UsememRun(LabLoop& loop, Progress& progress, UsememSettings settings)
    : loop_(loop), progress_(progress), settings_(std::move(settings)) {}

UsememRun::~UsememRun() = default;

Result<LabRecord> UsememRun::run() {
  start_ms_ = loop_.now_ms();
  FALLOW_TRY(prepare());
  for (const std::string& spec : settings_.policies) {
    const Status status = run_policy(spec);
    if (!status) {
      return loop_.interrupted() ? status.error() : daemon_->explain(status.error());
    }
  }
  return record_;
}

Status UsememRun::prepare() {
  auto image = find_guest_image(settings_.image_folder);
  if (!image) {
    return image.error();
  }
  image_ = *image;
  FALLOW_TRY(measure_host());
  FALLOW_TRY(start_daemon());
  return boot_machines();
}

Status UsememRun::measure_host() {
  // A guest of the document's size, so that what its kernel keeps is known for that size.
  const std::uint64_t full_ram = scaled_sizes(1).value().ram;
  const auto probe = probe_host(loop_, image_, settings_.accelerator, full_ram, folder_.path());
  if (!probe) {
    return probe.error();
  }
  accelerator_ = probe->accelerator;
  LabConditions& conditions = record_.conditions;
  conditions.sizes = settings_.sizes;
  conditions.accelerator = describe(accelerator_);
  conditions.boot_ms = probe->boot_ms;
  conditions.overhead_bytes = full_ram - std::min(full_ram, probe->available_bytes);
  conditions.machine_ram_bytes = ram_with_overhead(settings_.sizes, conditions.overhead_bytes);
  conditions.interval_ms = settings_.interval_ms;
  conditions.demotion = settings_.demotion;
  conditions.fresh_boot = settings_.fresh_boot;
  conditions.guest_version = image_.version;
  conditions.qemu_version = qemu_version(folder_.path());
  conditions.host_cpus = std::thread::hardware_concurrency();
  progress_.say("accelerator: " + conditions.accelerator + "; a guest boots in " +
                std::to_string(probe->boot_ms) + " ms and keeps " +
                format_size(conditions.overhead_bytes) + " to itself");
  return {};
}

Status UsememRun::start_daemon() {
  const DaemonSettings settings{.program = settings_.daemon_program,
                                .memory_bytes = settings_.sizes.tmem,
                                .interval_ms = settings_.interval_ms,
                                .demotion = settings_.demotion};
  auto daemon = Daemon::start(loop_, settings, folder_.path());
  if (!daemon) {
    return daemon.error();
  }
  daemon_ = *std::move(daemon);
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    const auto added =
        daemon_->client().add_vm({.name = machine_name(i), .size_bytes = settings_.sizes.swap});
    if (!added) {
      return daemon_->explain(added.error());
    }
  }
  const auto status = daemon_->client().status();
  if (!status) {
    return daemon_->explain(status.error());
  }
  record_.conditions.frames_total = status->frames_total;
  record_.conditions.fallow_version = status->version;
  return {};
}

MachineSettings UsememRun::machine_settings(const node::VmView& disk) const {
  MachineSettings settings{.name = disk.name, .folder = folder_.path()};
  settings.qemu.accelerator = accelerator_;
  settings.qemu.ram_bytes = record_.conditions.machine_ram_bytes;
  settings.qemu.kernel_path = image_.kernel_path;
  settings.qemu.initramfs_path = image_.initramfs_path;
  settings.qemu.disk_socket = disk.socket_path;
  return settings;
}

Status UsememRun::boot_machines() {
  progress_.say("booting three guests of " + format_size(record_.conditions.machine_ram_bytes));
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    machines_[i].reset();
    const auto disk = daemon_->client().show_vm(machine_name(i));
    if (!disk) {
      return daemon_->explain(disk.error());
    }
    auto machine = start_machine(loop_, machine_settings(*disk));
    if (!machine) {
      return machine.error();
    }
    machines_[i] = *std::move(machine);
  }
  for (const auto& machine : machines_) {
    FALLOW_TRY(machine->wait_ready(kBootMsMax));
  }
  return {};
}

Status UsememRun::run_policy(const std::string& spec) {
  if (settings_.fresh_boot && !record_.policies.empty()) {
    FALLOW_TRY(boot_machines());
  }
  FALLOW_TRY(empty_disks());
  const auto now = daemon_->client().set_policy(spec);
  if (!now) {
    return now.error();
  }
  PolicyRun run(settings_.sizes);
  run.result.spec = now->spec;
  FALLOW_TRY(begin(run));
  const std::uint64_t sample_ms = std::clamp(settings_.interval_ms, kSampleMsMin, kSampleMsMax);
  const auto timer = loop_.events().every_ns(sample_ms * kNsPerMs, [this, &run] { sample(run); });
  FALLOW_TRY(timer);
  Status status = drive(run);
  loop_.events().cancel(*timer);
  if (status) {
    status = end(run);
  }
  for (const auto& machine : machines_) {
    machine->on_workload(nullptr);  // `run` is about to go
  }
  if (status) {
    progress_.say(run.result.spec + ": " +
                  std::to_string(static_cast<int>(run.result.seconds + 0.5)) + " s");
    record_.policies.push_back(std::move(run.result));
  }
  return status;
}

// Nothing of the policy before may be in memory or in the backing files when the next one starts.
Status UsememRun::empty_disks() {
  FALLOW_TRY(turn_swap("discard"));
  Result<node::NodeSnapshot> seen = daemon_->client().list_vms();
  const auto empty = [&] {
    seen = daemon_->client().list_vms();
    bool all = seen.ok();
    for (std::size_t i = 0; all && i < seen->vms.size(); ++i) {
      all = seen->vms[i].used == 0 && seen->vms[i].backing_pages == 0;
    }
    return all || !seen.ok();
  };
  const auto timer = loop_.events().every_ns(kSampleMsMin * kNsPerMs, [] {});
  FALLOW_TRY(timer);
  const Status status = loop_.wait_until(empty, kEmptyMsMax, "the discard of all swapped pages");
  loop_.events().cancel(*timer);
  return seen ? status : seen.error();
}

Status UsememRun::turn_swap(const std::string& command) {
  for (const auto& machine : machines_) {
    machine->send(command);
  }
  for (const auto& machine : machines_) {
    const auto answer = machine->receive_answer(kAnswerMsMax);
    FALLOW_TRY(answer);
  }
  return {};
}

Status UsememRun::begin(PolicyRun& run) {
  FALLOW_TRY(turn_swap("swapon"));
  FALLOW_TRY(record_before(run));
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    run.result.machines.push_back({.name = machine_name(i)});
    machines_[i]->on_workload([this, &run, i](const GuestLine& line) { take_line(run, i, line); });
  }
  run.start_ms = loop_.now_ms();
  sample(run);
  // "VM1 and VM2 start executing usemem simultaneously."
  machines_[0]->send(run.scenario.command(0).insert(0, "start "));
  machines_[1]->send(run.scenario.command(1).insert(0, "start "));
  for (const std::size_t i : {0, 1}) {
    FALLOW_TRY(machines_[i]->receive_answer(kAnswerMsMax));
  }
  return {};
}

Status UsememRun::start_workload(PolicyRun& run, std::size_t machine) {
  const auto answer =
      machines_[machine]->command("start " + run.scenario.command(machine), kAnswerMsMax);
  FALLOW_TRY(answer);
  return {};
}

Status UsememRun::drive(PolicyRun& run) {
  const auto something = [&] {
    note_dead_machines(run);
    return run.error.has_value() || run.third_is_due || run.scenario.stopped();
  };
  while (!run.scenario.stopped()) {
    FALLOW_TRY(loop_.wait_until(something, kPolicyMsMax, "the end of " + run.result.spec));
    if (run.error) {
      return *run.error;
    }
    if (run.third_is_due) {
      run.third_is_due = false;
      run.result.third_start_s = static_cast<double>(loop_.now_ms() - run.start_ms) / 1000;
      FALLOW_TRY(start_workload(run, 2));
    }
  }
  return {};
}

void UsememRun::note_dead_machines(PolicyRun& run) const {
  for (const auto& machine : machines_) {
    if (!machine->alive() && !run.error) {
      run.error = failed(machine->name() + ": QEMU ended in the middle of the run");
    }
  }
}

Status UsememRun::end(PolicyRun& run) {
  run.result.seconds = static_cast<double>(loop_.now_ms() - run.start_ms) / 1000;
  sample(run);
  FALLOW_TRY(turn_swap("stop"));
  for (const auto& machine : machines_) {
    FALLOW_TRY(machine->wait_workload_end(kAnswerMsMax));
    if (machine->workload_exit_code() != 0U) {
      return failed(machine->name() + ": usemem failed");
    }
  }
  if (run.error) {
    return *run.error;
  }
  FALLOW_TRY(record_after(run));
  return turn_swap("swapoff");
}

Status UsememRun::record_before(PolicyRun& run) {
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    const auto memory = machines_[i]->memory(kAnswerMsMax);
    FALLOW_TRY(memory);
    run.before[i] = *memory;
  }
  auto disks = daemon_->client().list_vms();
  FALLOW_TRY(disks);
  run.disks_before = *std::move(disks);
  return {};
}

Status UsememRun::record_after(PolicyRun& run) {
  const auto disks = daemon_->client().list_vms();
  FALLOW_TRY(disks);
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    const auto memory = machines_[i]->memory(kAnswerMsMax);
    FALLOW_TRY(memory);
    MachineResult& machine = run.result.machines[i];
    machine.pages_in = memory->pages_in - run.before[i].pages_in;
    machine.pages_out = memory->pages_out - run.before[i].pages_out;
    const node::VmView* before = find_vm(run.disks_before, machine.name);
    const node::VmView* after = find_vm(*disks, machine.name);
    if (before != nullptr && after != nullptr) {
      machine.memory_writes = after->memory_writes - before->memory_writes;
      machine.backing_writes = after->backing_writes - before->backing_writes;
      machine.memory_reads = after->memory_reads - before->memory_reads;
      machine.backing_reads = after->backing_reads - before->backing_reads;
    }
  }
  return {};
}

void UsememRun::take_line(PolicyRun& run, std::size_t machine, const GuestLine& line) {
  const std::string who = machine_name(machine) + ": ";
  if (line.kind == LineKind::kStep) {
    run.result.machines[machine].steps.push_back({line.number, line.milliseconds});
  } else if (line.kind == LineKind::kAttempt) {
    run.block[machine] = line.number;
    const UsememActions actions = run.scenario.on_attempt(machine, line.number);
    run.third_is_due = run.third_is_due || actions.start_third;
  } else if (line.kind == LineKind::kError) {
    run.error = failed(who + line.text);
  } else if (line.kind == LineKind::kExited && !run.scenario.stopped()) {
    run.error = failed(who + "usemem ended by itself with code " + std::to_string(line.number));
  }
}

void UsememRun::sample(PolicyRun& run) {
  auto snapshot = daemon_->client().list_vms();
  if (!snapshot) {
    run.error = snapshot.error();
    return;
  }
  run.latest = *std::move(snapshot);
  const double time_s = static_cast<double>(loop_.now_ms() - run.start_ms) / 1000;
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    if (const node::VmView* vm = find_vm(run.latest, machine_name(i))) {
      run.result.samples.push_back({time_s, i, vm->used, vm->target});
    }
  }
  show_progress(run);
}

void UsememRun::show_progress(const PolicyRun& run) {
  std::string text = "[" + std::to_string(record_.policies.size() + 1) + "/" +
                     std::to_string(settings_.policies.size()) + "] " + run.result.spec + " " +
                     std::to_string((loop_.now_ms() - run.start_ms) / 1000) + " s";
  for (std::size_t i = 0; i < kMachineCount; ++i) {
    const node::VmView* vm = find_vm(run.latest, machine_name(i));
    text += "  " + machine_name(i) + " " +
            (run.block[i] == 0 ? "waits" : "at " + format_size(run.block[i])) + ", " +
            std::to_string(vm == nullptr ? 0 : vm->used) + " frames";
  }
  const double done = (static_cast<double>(record_.policies.size()) + run.scenario.progress()) /
                      static_cast<double>(settings_.policies.size());
  const std::string left = time_left(static_cast<double>(loop_.now_ms() - start_ms_) / 1000, done);
  progress_.show(text + (left.empty() ? "" : "; " + left), loop_.now_ms());
}

}  // namespace fallow::lab
