// fallow-lab: scenarios with real VMs. This file only reads the command line and hands over.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "lab/policy_list.h"
#include "lab/report_html.h"
#include "lab/report_text.h"
#include "lab/single_machine.h"
#include "lab/usemem_run.h"

namespace fallow::lab {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongUse = 2;
constexpr int kExitUnreachable = 3;
constexpr std::uint64_t kMachineRamMin = std::uint64_t{64} << 20;
constexpr std::uint64_t kMachineRamMax = std::uint64_t{1} << 40;
constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kIntervalMsMin = 10;

struct Options {
  double scale = 0.25;
  std::string policies = "no-tmem,greedy,static-alloc,reconf-static,smart-alloc:P=2";
  std::string interval;  // empty: 1 s times the scale
  std::string demotion = "2000";
  std::string out = "build/lab/usemem";
  bool json = false;
  bool fresh_boot = false;
  AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
  std::string daemon;
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

Result<std::uint64_t> interval_ms(const Options& options) {
  if (options.interval.empty()) {
    // A scaled run lasts about `scale` times as long: the controller's steps keep their place in
    // it.
    return std::max(kIntervalMsMin, static_cast<std::uint64_t>(1000 * options.scale));
  }
  const auto ns = parse_duration_ns(options.interval);
  FALLOW_TRY(ns);
  if (*ns < kIntervalMsMin * kNsPerMs) {
    return invalid("--interval must be at least 10ms");
  }
  return *ns / kNsPerMs;
}

Result<std::string> demotion(const Options& options) {
  if (options.demotion == "off") {
    return options.demotion;
  }
  const auto pages = parse_count(options.demotion);
  if (!pages || *pages == 0) {
    return invalid("--demotion must be 'off' or a number of pages per second, not '" +
                   options.demotion + "'");
  }
  return options.demotion;
}

Result<UsememSettings> usemem_settings(const Options& options) {
  const auto sizes = scaled_sizes(options.scale);
  FALLOW_TRY(sizes);
  const auto interval = interval_ms(options);
  FALLOW_TRY(interval);
  const auto rate = demotion(options);
  FALLOW_TRY(rate);
  const auto policies = parse_policies(options.policies);
  FALLOW_TRY(policies);
  return UsememSettings{.sizes = *sizes,
                        .policies = *policies,
                        .interval_ms = *interval,
                        .demotion = *rate,
                        .fresh_boot = options.fresh_boot,
                        .accelerator = options.accelerator,
                        .daemon_program = options.daemon,
                        .image_folder = options.image};
}

int run_usemem(const Options& options) {
  const auto settings = usemem_settings(options);
  if (!settings) {
    return report(settings.error());
  }
  auto loop = LabLoop::create();
  if (!loop) {
    return report(loop.error());
  }
  Result<LabRecord> record = failed("not run");
  {
    Progress progress;
    UsememRun run(**loop, progress, *settings);
    record = run.run();
  }
  if (!record) {
    return report(record.error());
  }
  if (const Status written = write_report(*record, options.out); !written) {
    return report(written.error());
  }
  std::fputs((options.json ? to_json(*record) : to_table(*record)).c_str(), stdout);
  const auto path = std::filesystem::absolute(options.out + "/report.html").lexically_normal();
  std::fprintf(options.json ? stderr : stdout, "report: %s\n", path.c_str());
  return 0;
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

int list() {
  std::puts("usemem  004, Table 2.2: three VMs allocate ever larger blocks, the third later");
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

void add_usemem(CLI::App& run, Options& options) {
  CLI::App* usemem = run.add_subcommand("usemem", "004, Table 2.2, and Figures 2.6 and 2.7");
  usemem->add_option("--scale", options.scale, "factor on all of the document's sizes")
      ->capture_default_str();
  usemem->add_option("--policies", options.policies, "policies to run in turn")
      ->capture_default_str();
  usemem->add_option("--interval", options.interval, "the controller's; default: 1 s x scale");
  usemem
      ->add_option("--demotion", options.demotion,
                   "pages per second moved out of memory for a VM over its target, or off")
      ->capture_default_str();
  usemem->add_option("--out", options.out, "folder for the report and its data")
      ->capture_default_str();
  usemem->add_flag("--json", options.json, "print the results as JSON instead of a table");
  usemem->add_flag("--fresh-boot", options.fresh_boot, "boot the guests anew for each policy");
  usemem->add_option("--daemon", options.daemon, "the fallowd to run")->capture_default_str();
  add_common(*usemem, options);
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
    return list();
  }
  return app.got_subcommand("vm") ? run_machine(options) : run_usemem(options);
}

int run(int argc, char** argv) {
  Options options;
  options.daemon = (own_folder() / "fallowd").string();
  options.image = default_image_folder();
  options.pager_library = (own_folder() / "../lib/libfallow_vmm.so").lexically_normal().string();
  CLI::App app("Runs scenarios with real VMs on a Fallow daemon of its own.", "fallow-lab");
  app.require_subcommand(1);
  app.add_subcommand("list", "the scenarios");
  CLI::App* run_command = app.add_subcommand("run", "run a scenario under each policy");
  run_command->require_subcommand(1);
  add_usemem(*run_command, options);
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
