#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "cli/run_words.h"
#include "node/control_client.h"
#include "node/quota_rules.h"
#include "node/vm_rules.h"

namespace fallow::cli {
namespace {

constexpr std::uint64_t kWatchIntervalNsMin = 10'000'000;

// The words as CLI11 leaves them, before ours are checked.
struct Words {
  Command command;
  bool json = false;
  bool force = false;
  std::string size;
  std::string backing;
  std::string backing_speed = "disk";
  std::string demotion = "2000";
  std::string compress = "off";
  std::optional<std::string> min;
  std::optional<std::string> max;
  std::optional<std::string> weight;
  std::string interval;
  std::string count;
  std::string duration;
  RunWords run;
  std::string ram;
  bool no_daemon = false;
};

// A subcommand that does something, when it is the one that was called.
CLI::App* leaf(CLI::App& parent, const std::string& name, const std::string& help, Words& words,
               Action action) {
  CLI::App* app = parent.add_subcommand(name, help);
  app->callback([&words, action] { words.command.action = action; });
  return app;
}

CLI::App* group(CLI::App& parent, const std::string& name, const std::string& help) {
  CLI::App* app = parent.add_subcommand(name, help);
  app->require_subcommand(1);
  return app;
}

void add_quota_options(CLI::App& app, Words& words) {
  app.add_option("--min", words.min,
                 "Memory that it may hold whatever others do: a size such as 64M, or a percentage "
                 "of the node such as 10%");
  app.add_option("--max", words.max, "Memory that it may hold whatever is free: the same, or none");
  app.add_option("--weight", words.weight,
                 "When memory is divided, from 1 to 10000; 100 is what others have");
}

void add_vm_commands(CLI::App& app, Words& words) {
  CLI::App* vm = group(app, "vm", "The VMs of this node");
  Command& command = words.command;
  CLI::App* add = leaf(*vm, "add", "Add a VM: a disk for it to swap to", words, Action::kVmAdd);
  add->add_option("NAME", command.name, "Letters, digits, '.', '_', '-'")->required();
  add->add_option("--size", words.size, "Of the disk, for example 2G")->required();
  add->add_option("--backing", words.backing,
                  "Existing file or block device for pages that memory refuses; without it the "
                  "daemon makes a sparse file");
  add->add_flag("--discard-backing", command.vm.discard_backing,
                "What the backing file holds may be overwritten");
  add->add_option("--compress", words.compress,
                  "lz4 or off: hold its pages compressed, where the daemon's 'compression' allows")
      ->capture_default_str();
  add_quota_options(*add, words);
  leaf(*vm, "list", "All VMs with their figures", words, Action::kVmList);
  CLI::App* show = leaf(*vm, "show", "Everything about one VM", words, Action::kVmShow);
  show->add_option("NAME", command.name)->required();
  CLI::App* resize =
      leaf(*vm, "resize", "Make a VM's disk larger, while it runs", words, Action::kVmResize);
  resize->add_option("NAME", command.name)->required();
  resize->add_option("SIZE", words.size, "For example 4G; not smaller than it is")->required();
  CLI::App* remove =
      leaf(*vm, "remove", "Remove a VM and its disk's content", words, Action::kVmRemove);
  remove->add_option("NAME", command.name)->required();
  remove->add_flag("--force", words.force, "Even while a front end is connected");
}

void add_client_commands(CLI::App& app, Words& words) {
  CLI::App* client = group(app, "client", "Processes that keep pages here over rings");
  leaf(*client, "list", "All of them with their figures", words, Action::kClientList);
}

void add_quota_commands(CLI::App& app, Words& words) {
  CLI::App* quota = group(app, "quota", "What a VM or a client of a name is granted");
  Command& command = words.command;
  CLI::App* set = leaf(*quota, "set", "Change what is named here, at once; the rest stays", words,
                       Action::kQuotaSet);
  set->add_option("NAME", command.name, "Of a VM or client, there now or later")->required();
  add_quota_options(*set, words);
  leaf(*quota, "list", "All that were set", words, Action::kQuotaList);
  CLI::App* clear = leaf(*quota, "clear", "Back to no minimum, no maximum and weight 100", words,
                         Action::kQuotaClear);
  clear->add_option("NAME", command.name)->required();
}

void add_policy_commands(CLI::App& app, Words& words) {
  CLI::App* policy = group(app, "policy", "Who may hold how many frames");
  Command& command = words.command;
  leaf(*policy, "show", "The policy in force", words, Action::kPolicyShow);
  leaf(*policy, "list", "All policies with their settings", words, Action::kPolicyList);
  CLI::App* set = leaf(*policy, "set", "Switch the policy, at once", words, Action::kPolicySet);
  set->add_option("SPEC", command.spec, "For example smart-alloc:P=2,threshold=64")->required();
  CLI::App* eval = leaf(*policy, "eval", "Run a policy on statistics from standard input", words,
                        Action::kPolicyEval);
  eval->add_option("SPEC", command.spec, "For example smart-alloc:P=2,threshold=64")->required();
  eval->footer(
      "Reads {\"node\":{\"total\":N},\"vms\":[{\"id\":\"a\",\"target\":N,\"used\":N,"
      "\"puts_total\":N,\"puts_succ\":N,\"cumul_puts_failed\":N,\"min\":N,\"max\":N,\"weight\":N}, "
      "...]} (pages; counters of one interval, but for cumul_puts_failed, which may be left out, "
      "as "
      "may min, max and weight; unknown keys are errors) and "
      "prints {\"vms\":[{\"id\":\"a\",\"target\":N,\"reason\":\"...\"}, ...]}. Needs no daemon.");
}

void add_other_commands(CLI::App& app, Words& words) {
  Command& command = words.command;
  leaf(app, "status", "The node's figures", words, Action::kStatus);
  CLI::App* explain =
      leaf(app, "explain", "Why a VM or a client has what it has", words, Action::kExplain);
  explain->add_option("NAME", command.name)->required();
  CLI::App* config = group(app, "config", "The daemon's configuration file");
  CLI::App* check =
      leaf(*config, "check", "Check a file whole, without a daemon", words, Action::kConfigCheck);
  check->add_option("FILE", command.file)->required();
  CLI::App* record =
      leaf(app, "record", "Record every put, get and flush into a file, to be replayed", words,
           Action::kRecord);
  record->add_option("FILE", command.file)->required();
  record->add_option("--for", words.duration,
                     "So long, for example 30s; until ctrl-C if not given");
  CLI::App* watch = leaf(app, "watch", "A live table of all VMs", words, Action::kWatch);
  watch->add_option("--count", words.count, "Stop after so many tables");
  watch->add_option("--interval", words.interval, "Between tables; the node's own if not given");
}

void add_pager_command(CLI::App& app, Words& words) {
  vmm_pager::ServiceOptions& options = words.command.pager;
  CLI::App* pager = leaf(app, "pager", "Keep a part of a VM's RAM in RAM, and the rest with Fallow",
                         words, Action::kPager);
  pager->add_option("--socket", options.socket, "Where the VMM connects")->required();
  pager->add_option("--mem", options.memory, "The file of shared memory that is the VM's RAM")
      ->required();
  pager->add_option("--ram", words.ram, "How much of it may be in RAM, for example 256M")
      ->required();
  pager->add_option("--vm", options.name, "The VM's name; the socket's if not given");
  pager->add_option(
      "--state", options.state,
      "What the next pager needs when this one is killed; if not given, NAME.state in " +
          vmm_pager::default_folder());
  pager->add_option("--backing", options.backing,
                    "File for what the daemon refuses; STATE.pages if not given");
  pager->add_option("--backing-speed", words.backing_speed, kBackingSpeedHelp)
      ->capture_default_str();
  pager->add_option("--demotion", words.demotion, kDemotionHelp)->capture_default_str();
  pager->add_option("--ring", options.ring, "The daemon's socket for client processes")
      ->envname("FALLOW_RING_SOCKET");
  pager->add_flag("--no-daemon", words.no_daemon, "Put everything into the backing file");
}

void describe(CLI::App& app, Words& words) {
  app.description("Asks and steers fallowd, which pools this host's idle memory for its VMs.");
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong use or input, 3 daemon not reachable.");
  app.set_version_flag("--version", std::string("fallow ") + FALLOW_VERSION);
  app.require_subcommand(1);
  // The options below are understood behind any subcommand too.
  app.fallthrough();
  app.add_flag("--json", words.json, "Answer in JSON");
  words.command.socket_path = node::kDefaultControlSocket;
  app.add_option("--socket", words.command.socket_path, "The daemon's control socket")
      ->envname("FALLOW_SOCKET")
      ->capture_default_str();
  add_other_commands(app, words);
  add_policy_commands(app, words);
  add_vm_commands(app, words);
  add_client_commands(app, words);
  add_quota_commands(app, words);
  add_run_options(*leaf(app, "run", kRunHelp, words, Action::kRun), words.run);
  add_pager_command(app, words);
}

// The first error, with the option that it is about.
template <typename T>
Status take_word(const std::string& option, const std::optional<std::string>& text, T* into,
                 Result<T> (*parse)(const std::string&)) {
  if (!text) {
    return {};
  }
  Result<T> value = parse(*text);
  if (!value) {
    return invalid(option + ": " + value.error().text);
  }
  *into = *std::move(value);
  return {};
}

Status check_quota_words(const Words& words, node::QuotaRequest& quota) {
  FALLOW_TRY(take_word("--min", words.min, &quota.min, node::parse_quota_min));
  FALLOW_TRY(take_word("--max", words.max, &quota.max, node::parse_quota_max));
  return take_word("--weight", words.weight, &quota.weight, node::parse_quota_weight);
}

Status check_quota_set_words(Words& words) {
  FALLOW_TRY(check_quota_words(words, words.command.quota));
  return node::says_nothing(words.command.quota)
             ? invalid("give at least one of --min, --max and --weight")
             : Status();
}

Status check_vm_words(Words& words) {
  node::VmRequest& vm = words.command.vm;
  vm.name = words.command.name;
  const Result<std::uint64_t> size = node::parse_vm_size(words.size);
  FALLOW_TRY(size);
  vm.size_bytes = *size;
  const Result<tmem::Compression> compression = node::parse_compression(words.compress);
  if (!compression) {
    return invalid("--compress: " + compression.error().text);
  }
  vm.compression = *compression;
  FALLOW_TRY(check_quota_words(words, vm.quota));
  if (!words.backing.empty()) {
    // The daemon has a working directory of its own.
    std::error_code error;
    vm.backing_path = std::filesystem::absolute(words.backing, error).lexically_normal().string();
  }
  return node::check_vm_request(vm);
}

Status check_resize_words(Words& words) {
  const Result<std::uint64_t> size = node::parse_vm_size(words.size);
  FALLOW_TRY(size);
  words.command.vm.size_bytes = *size;
  return {};
}

Status check_watch_words(Words& words) {
  if (!words.count.empty()) {
    const Result<std::uint64_t> count = parse_count(words.count);
    if (!count || *count == 0) {
      return invalid("--count must be a whole number, 1 or more, not '" + words.count + "'");
    }
    words.command.watch_count = *count;
  }
  if (!words.interval.empty()) {
    const Result<std::uint64_t> ns = parse_duration_ns(words.interval);
    FALLOW_TRY(ns);
    if (*ns < kWatchIntervalNsMin) {
      return invalid("--interval must be 10ms or more");
    }
    words.command.watch_interval_ns = *ns;
  }
  return {};
}

Status check_record_words(Words& words) {
  if (words.duration.empty()) {
    return {};
  }
  const Result<std::uint64_t> ns = parse_duration_ns(words.duration);
  if (!ns || *ns == 0) {
    return invalid("--for must be a time such as 30s, not '" + words.duration.substr(0, 80) + "'");
  }
  words.command.record_ns = *ns;
  return {};
}

Status check_pager_words(Words& words) {
  vmm_pager::ServiceOptions& options = words.command.pager;
  const Result<std::uint64_t> ram = parse_size(words.ram);
  if (!ram) {
    return invalid("--ram: " + ram.error().text);
  }
  options.ram_bytes = *ram;
  const Result<DiskSpeed> speed = parse_backing_speed(words.backing_speed);
  FALLOW_TRY(speed);
  options.backing_speed = *speed;
  const Result<std::uint64_t> demotion = parse_demotion(words.demotion);
  FALLOW_TRY(demotion);
  options.demotion_pages_per_second = *demotion;
  options.daemon = !words.no_daemon;
  options.json = words.json;
  return vmm_pager::complete(options);
}

Status check_words(Words& words) {
  Command& command = words.command;
  command.form = words.json ? Form::kJson : Form::kHuman;
  command.remove_mode = words.force ? node::RemoveMode::kForce : node::RemoveMode::kIfIdle;
  if (!command.name.empty()) {
    FALLOW_TRY(check_name(command.name));
  }
  switch (command.action) {
    case Action::kVmAdd:
      return check_vm_words(words);
    case Action::kVmResize:
      return check_resize_words(words);
    case Action::kQuotaSet:
      return check_quota_set_words(words);
    case Action::kWatch:
      return check_watch_words(words);
    case Action::kRecord:
      return check_record_words(words);
    case Action::kRun:
      return check_run_words(words.run, command);
    case Action::kPager:
      return check_pager_words(words);
    default:
      return {};
  }
}

// CLI11 says only that a command is missing when it does not know the one given.
std::string describe_error(const CLI::App& app, const CLI::Error& error) {
  const std::vector<std::string> left = app.remaining(true);
  const bool unknown = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !left.empty();
  return (unknown ? "no command '" + left.front() + "' is known here" : error.what()) +
         std::string(" (see fallow --help)");
}

Command print(std::string text) {
  return {.action = Action::kPrint, .text = std::move(text)};
}

}  // namespace

Result<Command> parse_command_line(const std::vector<std::string>& words) {
  CLI::App app("", "fallow");
  Words read;
  describe(app, read);
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForVersion& version) {
    return print(std::string(version.what()) + "\n");
  } catch (const CLI::CallForHelp&) {
    return print(app.help());
  } catch (const CLI::CallForAllHelp&) {
    return print(app.help("", CLI::AppFormatMode::All));
  } catch (const CLI::Error& error) {
    return invalid(describe_error(app, error));
  }
  FALLOW_TRY(check_words(read));
  return read.command;
}

}  // namespace fallow::cli
