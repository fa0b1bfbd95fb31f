// fallow-lab: scenarios with real VMs. This file only reads the command line and hands over.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/disk_speed.h"
#include "base/temp_dir.h"
#include "base/text.h"
#include "base/units.h"
#include "lab/agreement.h"
#include "lab/campaign.h"
#include "lab/findings.h"
#include "lab/paths.h"
#include "lab/scenario_files.h"
#include "lab/scenario_report.h"
#include "lab/single_machine.h"
#include "lab/workloads.h"
#include "policy/policy_list.h"

namespace fallow::lab {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongUse = 2;
constexpr int kExitUnreachable = 3;
constexpr std::uint64_t kMachineRamMin = std::uint64_t{64} << 20;
constexpr std::uint64_t kMachineRamMax = std::uint64_t{1} << 40;

// Of `run`, `report` and `compare`.
struct CampaignOptions {
  std::vector<std::string> scenarios;
  bool all = false;
  std::string guest = "process";
  double scale = 0.0625;
  std::string policies;
  std::uint64_t repetitions = 0;
  std::string backing;
  std::string demotion;
  std::uint64_t seed = 0;
  std::string data;
  std::string out = "build/lab/runs";
  bool anew = false;
  bool record = false;
  std::string left;
  std::string right;
};

struct Options {
  CampaignOptions campaign;
  bool json = false;
  AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
  std::string image;
  std::string socket;
  std::string nbd_socket;
  std::string pager_socket;
  std::string memory_path;
  std::string pager_library;
  std::string ram = "192M";
  std::vector<std::string> workload;
};

int report(const Error& error) {
  std::fprintf(stderr, "fallow-lab: %s\n", error.text.c_str());
  switch (error.code) {
    case ErrorCode::kInvalid:
      return kExitWrongUse;
    case ErrorCode::kUnreachable:
      return kExitUnreachable;
    default:
      return kExitFailed;
  }
}

std::filesystem::path own_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

// The program lies in build/PRESET/bin, the image in build/guest.
std::string default_image_folder() {
  return (own_folder() / "../../guest").lexically_normal().string();
}

int run_machine(const Options& options) {
  const auto ram = parse_size(options.ram);
  if (!ram || *ram < kMachineRamMin || *ram > kMachineRamMax || *ram % kPageSize != 0) {
    return report(
        invalid("--ram must be a size from 64M up in whole pages, not '" + options.ram + "'"));
  }
  auto loop = LabLoop::create();
  if (!loop) {
    return report(loop.error());
  }
  const auto result = run_single_machine(**loop, {.disk_socket = options.socket,
                                                  .nbd_socket = options.nbd_socket,
                                                  .pager_socket = options.pager_socket,
                                                  .memory_path = options.memory_path,
                                                  .pager_library = options.pager_library,
                                                  .ram_bytes = *ram,
                                                  .accelerator = options.accelerator,
                                                  .image_folder = options.image,
                                                  .workload = options.workload});
  if (!result) {
    return report(result.error());
  }
  std::printf("accelerator: %s\npswpout %llu pswpin %llu\n", describe(result->accelerator).c_str(),
              static_cast<unsigned long long>(result->after.pages_out - result->before.pages_out),
              static_cast<unsigned long long>(result->after.pages_in - result->before.pages_in));
  return result->exit_code == 0 ? 0 : kExitFailed;
}

std::string runs_path(const std::string& folder) {
  return folder + "/runs.jsonl";
}

std::uint64_t host_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * kPageSize;
}

Result<std::vector<Scenario>> chosen_scenarios(const CampaignOptions& options) {
  const std::string folder = scenario_folder(own_folder().string());
  if (options.all != options.scenarios.empty()) {
    return invalid("name the scenarios to run, or say --all");
  }
  if (options.all) {
    return load_all_scenarios(folder);
  }
  std::vector<Scenario> chosen;
  for (const std::string& word : options.scenarios) {
    auto scenario = load_named_scenario(folder, word);
    FALLOW_TRY(scenario);
    chosen.push_back(*std::move(scenario));
  }
  return chosen;
}

GuestKind guest_of(const CampaignOptions& options) {
  return options.guest == "vm" ? GuestKind::kMachine : GuestKind::kProcess;
}

Status apply(const CampaignOptions& options, Scenario& scenario) {
  auto small = scaled(scenario, options.scale);
  FALLOW_TRY(small);
  scenario = *std::move(small);
  if (!options.backing.empty()) {
    const auto speed = DiskSpeed::parse(options.backing);
    FALLOW_TRY(speed);
    scenario.backing = speed->spec();
  }
  if (!options.demotion.empty()) {
    const auto rate = parse_rate(options.demotion);
    FALLOW_TRY(rate);
    if (*rate != scenario.demotion) {
      scenario.fingerprint += ", demotion " + *rate;  // another scenario than the file's
    }
    scenario.demotion = *rate;
  }
  scenario.seed = options.seed == 0 ? scenario.seed : options.seed;
  return check_fits(scenario, guest_of(options), options.record, host_bytes());
}

Status check_machines(const std::vector<Scenario>& scenarios) {
  for (const Scenario& scenario : scenarios) {
    for (const VmPlan& vm : scenario.vms) {
      for (const RunPlan& run : vm.runs) {
        if (!find_workload(run.workload)->in_machines) {
          return invalid(scenario.path + ":" + std::to_string(run.line) + ": " + run.workload +
                         " needs programs that the guests' image does not have: use --guest "
                         "process");
        }
      }
    }
  }
  return {};
}

Result<CampaignSettings> campaign_settings(const Options& options) {
  CampaignSettings settings{.repetitions = options.campaign.repetitions,
                            .runs_path = runs_path(options.campaign.out)};
  auto scenarios = chosen_scenarios(options.campaign);
  FALLOW_TRY(scenarios);
  settings.scenarios = *std::move(scenarios);
  for (Scenario& scenario : settings.scenarios) {
    FALLOW_TRY(apply(options.campaign, scenario));
  }
  if (!options.campaign.policies.empty()) {
    const auto policies = policy::parse_policies(options.campaign.policies);
    FALLOW_TRY(policies);
    settings.policies = *policies;
  }
  settings.lab.programs = own_folder().string();
  settings.recordings = options.campaign.record ? options.campaign.out : "";
  settings.lab.data_folder = options.campaign.data;
  settings.lab.guest = guest_of(options.campaign);
  if (settings.lab.guest == GuestKind::kMachine) {
    FALLOW_TRY(check_machines(settings.scenarios));
    if (!options.campaign.data.empty()) {
      return invalid("--data is for guests that are processes: machines generate theirs");
    }
  }
  return settings;
}

// What booting a machine takes here.
Status measure_machines(LabLoop& loop, Progress& progress, const Options& options,
                        LabSetting& lab) {
  const auto image = find_guest_image(options.image);
  FALLOW_TRY(image);
  lab.image = *image;
  const TempDir folder;
  constexpr std::uint64_t kProbeRam = std::uint64_t{256} << 20;
  const auto probe = probe_host(loop, lab.image, options.accelerator, kProbeRam, folder.path());
  FALLOW_TRY(probe);
  lab.accelerator = probe->accelerator;
  lab.qemu_version = qemu_version(folder.path());
  lab.overhead_bytes =
      (kProbeRam - std::min(kProbeRam, probe->available_bytes)) / kPageSize * kPageSize;
  progress.say("accelerator: " + describe(lab.accelerator) + "; a guest keeps " +
               format_size(lab.overhead_bytes) + " to itself, which it is given besides its RAM");
  return {};
}

int print_report(const std::string& folder, bool json) {
  const auto records = read_run_records(runs_path(folder));
  if (!records) {
    return report(records.error());
  }
  if (records->empty()) {
    return report(invalid("no runs in " + runs_path(folder) + ": see `fallow-lab run`"));
  }
  const auto scenarios = summarize(*records);
  const auto all = findings(scenarios);
  std::fputs((json ? to_json(scenarios, all) : to_table(scenarios) + "\n" + to_text(all)).c_str(),
             stdout);
  std::fflush(stdout);
  if (const Status written = write_report(*records, scenarios, all, folder); !written) {
    return report(written.error());
  }
  std::error_code error;
  const std::string below = folder + "/report.html";
  const auto whole = std::filesystem::absolute(below, error).lexically_normal();
  const std::string path = error ? below : whole.string();
  std::fprintf(json ? stderr : stdout, "report: %s\n", path.c_str());
  return 0;
}

// Where runs go, before anything is run.
Status prepare_folder(const CampaignOptions& options) {
  FALLOW_TRY(make_folder(options.out));
  return options.anew ? remove_file(runs_path(options.out)) : Status();
}

int run_scenarios(const Options& options) {
  auto settings = campaign_settings(options);
  if (!settings) {
    return report(settings.error());
  }
  if (const Status ready = prepare_folder(options.campaign); !ready) {
    return report(ready.error());
  }
  auto loop = LabLoop::create();
  if (!loop) {
    return report(loop.error());
  }
  Status status;
  {
    Progress progress;
    if (settings->lab.guest == GuestKind::kMachine) {
      status = measure_machines(**loop, progress, options, settings->lab);
    }
    if (status) {
      status = run_campaign(**loop, progress, *settings);
    }
  }
  return status ? print_report(options.campaign.out, options.json) : report(status.error());
}

int print_agreements(const Options& options) {
  const auto records = read_run_records(runs_path(options.campaign.out));
  if (!records) {
    return report(records.error());
  }
  const auto agreements = find_agreements(options.campaign.out, *records);
  if (!agreements) {
    return report(agreements.error());
  }
  std::fputs((options.json ? to_json(*agreements) : to_table(*agreements)).c_str(), stdout);
  return 0;
}

int compare_reports(const Options& options) {
  std::vector<ScenarioSummary> sides[2];
  for (const int side : {0, 1}) {
    const std::string& folder = side == 0 ? options.campaign.left : options.campaign.right;
    const auto records = read_run_records(runs_path(folder));
    if (!records) {
      return report(records.error());
    }
    if (records->empty()) {
      return report(invalid("no runs in " + runs_path(folder)));
    }
    sides[side] = summarize(*records);
  }
  const auto differences = compare(sides[0], sides[1]);
  std::fputs((options.json ? to_json(differences) : to_table(differences)).c_str(), stdout);
  return 0;
}

int list(bool json) {
  const auto scenarios = load_all_scenarios(scenario_folder(own_folder().string()));
  if (!scenarios) {
    return report(scenarios.error());
  }
  std::fputs((json ? list_json(*scenarios) : list_table(*scenarios)).c_str(), stdout);
  return 0;
}

void add_common(CLI::App& command, Options& options) {
  static const std::map<std::string, AcceleratorChoice> kChoices = {
      {"auto", AcceleratorChoice::kAuto},
      {"kvm", AcceleratorChoice::kKvm},
      {"tcg", AcceleratorChoice::kTcg}};
  command
      .add_option("--accelerator", options.accelerator,
                  "auto (KVM if a guest boots under it, else TCG), kvm or tcg")
      ->transform(CLI::CheckedTransformer(kChoices, CLI::ignore_case).description(""))
      ->default_str("auto");
  command.add_option("--image", options.image, "folder of the guest's kernel and initramfs")
      ->capture_default_str();
}

void add_run(CLI::App& app, Options& options) {
  CampaignOptions& campaign = options.campaign;
  CLI::App* run = app.add_subcommand(
      "run", "run scenarios under policies; what was run already is not run again");
  run->add_option("scenarios", campaign.scenarios, "names (see list), or paths of TOML files");
  // A script's options stand before those of who calls it.
  run->option_defaults()->take_last();
  run->add_flag("--all", campaign.all, "all scenarios of the list");
  run->add_option("--guest", campaign.guest, "process (under the pager, native speed) or vm (QEMU)")
      ->check(CLI::IsMember({"process", "vm"}))
      ->capture_default_str();
  run->add_option("--scale", campaign.scale, "factor on all sizes and times")
      ->capture_default_str();
  run->add_option("--policies", campaign.policies,
                  "policies to run in turn (default: the scenario's, or all)");
  run->add_option("--repetitions", campaign.repetitions, "of each policy (default: the scenario's)")
      ->check(CLI::Range(1, 1000));
  run->add_option("--backing", campaign.backing,
                  "speed of the backing store: hdd, ssd, disk (default: the scenario's)");
  run->add_option("--demotion", campaign.demotion,
                  "pages per second moved out of memory for a VM over its target, or off");
  run->add_option("--seed", campaign.seed, "of the workloads (default: the scenario's)");
  run->add_option("--data", campaign.data,
                  "folder of real data sets (gowalla_edges.csv, movielens_small_ratings.csv)");
  run->add_option("--out", campaign.out, "folder for the runs and the report")
      ->capture_default_str();
  run->add_flag("--record", campaign.record,
                "one more run of each scenario, with memory for all, recorded into "
                "OUT/SCENARIO.trace to be replayed");
  run->add_flag("--anew", campaign.anew, "forget what was run already");
  run->add_flag("--json", options.json, "print the results as JSON instead of a table");
  add_common(*run, options);
}

void add_report(CLI::App& app, Options& options) {
  CLI::App* report = app.add_subcommand("report", "write the report of what was run so far");
  report->add_option("folder", options.campaign.out, "the folder of the runs")
      ->capture_default_str();
  report->add_flag("--json", options.json, "print the results as JSON instead of a table");
  CLI::App* agree = app.add_subcommand(
      "agree", "whether replays of the recordings put the policies in the order of the real runs");
  agree->add_option("folder", options.campaign.out, "a folder of runs with --record")
      ->capture_default_str();
  agree->add_flag("--json", options.json, "as JSON instead of a table");
  CLI::App* compare = app.add_subcommand(
      "compare", "put two folders of runs side by side: which differences exceed the noise");
  compare->add_option("left", options.campaign.left, "a folder of runs")->required();
  compare->add_option("right", options.campaign.right, "another")->required();
  compare->add_flag("--json", options.json, "as JSON instead of a table");
}

void add_vm(CLI::App& app, Options& options) {
  CLI::App* vm = app.add_subcommand(
      "vm", "boot one guest that swaps to an existing Fallow disk, or has a pager");
  CLI::Option_group* disk = vm->add_option_group("disk", "where the guest's disk is");
  disk->add_option("--socket", options.socket, "its vhost-user socket");
  disk->add_option("--nbd", options.nbd_socket, "the Unix socket of an NBD server");
  CLI::Option* pager = disk->add_option("--pager", options.pager_socket,
                                        "no disk: the socket of a pager of the guest's RAM");
  disk->require_option(1);
  CLI::Option* memory =
      vm->add_option("--mem", options.memory_path, "with --pager: the file that is the RAM");
  pager->needs(memory);
  memory->needs(pager);
  vm->add_option("--pager-library", options.pager_library, "what makes QEMU hand its RAM over")
      ->capture_default_str();
  vm->add_option("--ram", options.ram, "the guest's RAM")->capture_default_str();
  vm->add_option("workload", options.workload,
                 "what to run in the guest, after --: usemem --step 64M --max 256M --once")
      ->required();
  add_common(*vm, options);
}

int dispatch(const CLI::App& app, const Options& options) {
  if (app.got_subcommand("list")) {
    return list(options.json);
  }
  if (app.got_subcommand("run")) {
    return run_scenarios(options);
  }
  if (app.got_subcommand("report")) {
    return print_report(options.campaign.out, options.json);
  }
  if (app.got_subcommand("agree")) {
    return print_agreements(options);
  }
  if (app.got_subcommand("compare")) {
    return compare_reports(options);
  }
  return run_machine(options);
}

int run(int argc, char** argv) {
  Options options;
  options.image = default_image_folder();
  options.pager_library = (own_folder() / "../lib/libfallow_vmm.so").lexically_normal().string();
  CLI::App app("Runs scenarios under policies, on Fallow daemons of its own.", "fallow-lab");
  app.require_subcommand(1);
  CLI::App* list_command = app.add_subcommand("list", "the scenarios");
  list_command->add_flag("--json", options.json, "as JSON instead of a table");
  add_run(app, options);
  add_report(app, options);
  add_vm(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitWrongUse;
  }
  return dispatch(app, options);
}

}  // namespace
}  // namespace fallow::lab

int main(int argc, char** argv) {
  return fallow::lab::run(argc, argv);
}
