#include "lab/scenario.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/disk_speed.h"
#include "base/file.h"
#include "base/text.h"
#include "base/toml_table.h"
#include "base/units.h"
#include "lab/workloads.h"
#include "pager/pager.h"
#include "policy/policy_list.h"

namespace fallow::lab {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 42;
constexpr std::uint64_t kRamMin = kMiB;
constexpr std::size_t kVmsMost = 64;
constexpr std::size_t kRunsMost = 64;
constexpr std::uint64_t kCountMost = 1000;
constexpr std::uint32_t kCpusMost = 64;
constexpr std::uint64_t kDurationNsMax = 3'600'000'000'000;
constexpr std::uint64_t kIntervalNsMin = 10'000'000;
// Scaling goes no lower: a disk's latency does not scale, and a shorter interval sees but a few
// requests.
constexpr std::uint64_t kIntervalNsSmall = 100'000'000;
constexpr double kScaleMin = 1.0 / 64;
constexpr double kScaleMax = 4;

using Errors = std::vector<TomlError>;

Result<std::uint64_t> parse_bytes(const std::string& text) {
  const Result<std::uint64_t> bytes = parse_size(text);
  FALLOW_TRY(bytes);
  if (*bytes < kMiB || *bytes > kBytesMax || *bytes % kPageSize != 0) {
    return invalid("'" + text + "' must be from 1M to " + format_size(kBytesMax) +
                   ", in whole pages");
  }
  return bytes;
}

Result<std::uint64_t> parse_duration(const std::string& text) {
  const Result<std::uint64_t> ns = parse_duration_ns(text);
  FALLOW_TRY(ns);
  if (*ns > kDurationNsMax) {
    return invalid("'" + text + "' must be at most 60m");
  }
  return ns;
}

Result<std::uint64_t> parse_at_least_one(const std::string& text) {
  const Result<std::uint64_t> count = parse_count(text);
  if (!count || *count == 0 || *count > kCountMost) {
    return invalid("'" + text + "' must be from 1 to " + std::to_string(kCountMost));
  }
  return count;
}

Result<std::uint32_t> parse_cpus(const std::string& text) {
  const Result<std::uint64_t> count = parse_count(text);
  if (!count || *count == 0 || *count > kCpusMost) {
    return invalid("'" + text + "' must be from 1 to " + std::to_string(kCpusMost));
  }
  return static_cast<std::uint32_t>(*count);
}

Result<std::string> parse_text(const std::string& text) {
  return text;
}

Result<std::string> parse_speed(const std::string& text) {
  const auto speed = DiskSpeed::parse(text);
  FALLOW_TRY(speed);
  return speed->spec();
}

Result<std::string> parse_name(const std::string& text) {
  FALLOW_TRY(check_name(text));
  return text;
}

Result<std::string> parse_workload(const std::string& text) {
  if (find_workload(text) != nullptr) {
    return text;
  }
  std::set<std::string> known;
  for (const Workload& workload : known_workloads()) {
    known.insert(workload.name);
  }
  return invalid("no workload is called '" + text + "'; " + suggestion(text, known));
}

// The largest block that usemem goes over; it goes up step by step. Others tell too late, and only
// about, how much they take.
std::uint64_t most_attempted(const RunPlan& run) {
  return run.workload == "usemem" && run.step_bytes > 0
             ? run.bytes / run.step_bytes * run.step_bytes
             : 0;
}

// usemem says that it has filled its memory only when it does nothing more then.
bool has_phase(const RunPlan& run, const std::string& phase) {
  const std::vector<std::string>& phases = find_workload(run.workload)->phases;
  return std::find(phases.begin(), phases.end(), phase) != phases.end() &&
         (run.workload != "usemem" || run.idle);
}

// Whether the VM ever does what is waited for. What goes on for ever is its last run.
bool comes_so_far(const VmPlan& vm, const Trigger& trigger) {
  if (trigger.kind == Trigger::Kind::kEnd) {
    return !vm.runs.back().for_ever;
  }
  return std::any_of(vm.runs.begin(), vm.runs.end(), [&](const RunPlan& run) {
    return trigger.kind == Trigger::Kind::kAttempt ? most_attempted(run) >= trigger.bytes
                                                   : has_phase(run, trigger.phase);
  });
}

// What the VM should do and never does.
std::string deed_of(const Trigger& trigger) {
  switch (trigger.kind) {
    case Trigger::Kind::kAttempt:
      return "takes " + format_size(trigger.bytes) +
             " in a block of usemem: of other workloads wait for a phase";
    case Trigger::Kind::kPhase:
      return "has a phase '" + trigger.phase + "'";
    case Trigger::Kind::kEnd:
      return "ends";
    case Trigger::Kind::kBegin:
      break;
  }
  return "begins";
}

// Where things stand in the file, for errors that only the whole shows.
struct Places {
  std::vector<std::vector<const toml::node*>> runs;
  const toml::node* stop = nullptr;
};

class Reader {
 public:
  Reader(const toml::table& root, ScenarioReading& reading)
      : root_(root), scenario_(reading.scenario), errors_(reading.errors) {}

  void read() {
    TableReader top(root_, "the scenario", errors_);
    read_top(top);
    const auto tables = top.tables("vm", kVmsMost, "[[vm]]");
    const toml::node* stop = top.find("stop");
    top.refuse_unknown_keys();
    if (tables.empty() && root_.get("vm") == nullptr) {
      top.error(root_, "a scenario needs at least one [[vm]]");
    }
    for (const toml::table* table : tables) {
      read_vm(*table);
    }
    if (!errors_.empty()) {
      return;  // triggers name VMs: their errors would be about what is missing
    }
    read_starts(tables);
    if (stop != nullptr) {
      scenario_.stop = read_trigger(*stop, "stop");
      places_.stop = stop;
    }
    if (errors_.empty()) {
      check_endless();
      check_cycles();
    }
  }

 private:
  void read_top(TableReader& top) {
    if (!top.take<std::string>("name", &scenario_.name, parse_name)) {
      top.missing("name", "\"my-scenario\"");
    }
    top.take<std::string>("summary", &scenario_.summary, parse_text);
    if (!top.take<std::uint64_t>("memory", &scenario_.memory_bytes, parse_bytes)) {
      top.missing("memory", "\"1G\"");
    }
    top.take<std::uint64_t>("interval", &scenario_.interval_ns, parse_interval);
    top.take<std::string>("backing", &scenario_.backing, parse_speed);
    top.take<std::string>("demotion", &scenario_.demotion, parse_rate);
    top.take<std::vector<std::string>>("policies", &scenario_.policies, policy::parse_policies);
    top.take<std::uint64_t>("repetitions", &scenario_.repetitions, parse_at_least_one);
    top.take<std::uint64_t>("seed", &scenario_.seed, parse_count);
  }

  static Result<std::uint64_t> parse_interval(const std::string& text) {
    const Result<std::uint64_t> ns = parse_duration(text);
    if (!ns || *ns < kIntervalNsMin) {
      return invalid("'" + text + "' must be from 10ms to 60m");
    }
    return ns;
  }

  void read_vm(const toml::table& table) {
    TableReader reader(table, "[[vm]]", errors_);
    VmPlan vm;
    vm.line = table.source().begin.line;
    const auto new_name = [this](const std::string& text) -> Result<std::string> {
      FALLOW_TRY(check_name(text));
      return index_of(text) ? Result<std::string>(invalid("there already is a VM '" + text + "'"))
                            : text;
    };
    if (!reader.take<std::string>("name", &vm.name, new_name)) {
      reader.missing("name", "\"vm1\"");
    }
    if (!reader.take<std::uint64_t>("ram", &vm.ram_bytes, parse_bytes)) {
      reader.missing("ram", "\"512M\"");
    }
    vm.disk_bytes = std::min(4 * vm.ram_bytes, kBytesMax);
    reader.take<std::uint64_t>("disk", &vm.disk_bytes, parse_bytes);
    reader.take<std::uint32_t>("cpus", &vm.cpus, parse_cpus);
    places_.runs.emplace_back();
    for (const toml::table* run : reader.tables("run", kRunsMost, "[[run]]")) {
      vm.runs.push_back(read_run(*run));
      places_.runs.back().push_back(run);
    }
    if (vm.runs.empty()) {
      reader.error(table, "VM '" + vm.name + "' runs nothing: add a [[vm.run]]");
    }
    reader.refuse_unknown_keys();
    scenario_.vms.push_back(std::move(vm));
  }

  RunPlan read_run(const toml::table& table) {
    TableReader reader(table, "[[vm.run]]", errors_);
    RunPlan run{.line = table.source().begin.line};
    if (!reader.take<std::string>("workload", &run.workload, parse_workload)) {
      reader.missing("workload", "\"usemem\"");
    }
    if (!reader.take<std::uint64_t>("size", &run.bytes, parse_bytes)) {
      reader.missing("size", "\"512M\"");
    }
    const Workload* workload = find_workload(run.workload);
    run.step_bytes = run.bytes / 8 / kPageSize * kPageSize;
    run.iterations = workload == nullptr ? 1 : workload->iterations;
    reader.take<std::uint64_t>("step", &run.step_bytes, parse_bytes);
    reader.take<std::uint64_t>("iterations", &run.iterations, parse_at_least_one);
    reader.take<std::uint64_t>("times", &run.times, parse_at_least_one);
    reader.take<std::uint64_t>("pause", &run.pause_ns, parse_duration);
    reader.take_flag("for_ever", &run.for_ever);
    reader.take_flag("idle", &run.idle);
    run.for_ever = run.for_ever || run.idle;
    reader.find("start");
    if (workload != nullptr && run.bytes != 0) {
      check_size(reader, *workload, run);
    }
    if (run.for_ever && workload != nullptr && !workload->can_go_on) {
      reader.error(table, run.workload + " ends by itself: take 'for_ever' and 'idle' out");
    }
    reader.refuse_unknown_keys();
    return run;
  }

  static void check_size(TableReader& reader, const Workload& workload, const RunPlan& run) {
    if (run.bytes < workload.bytes_min) {
      reader.error(*reader.find("size"), run.workload + " needs a size of " +
                                             format_size(workload.bytes_min) + " or more");
    }
    if (run.step_bytes > run.bytes) {
      reader.error(*reader.find("step"),
                   "step must be at most the size, " + format_size(run.bytes));
    }
  }

  void read_starts(const std::vector<const toml::table*>& tables) {
    for (std::size_t vm = 0; vm < tables.size(); ++vm) {
      for (std::size_t i = 0; i < scenario_.vms[vm].runs.size(); ++i) {
        if (const toml::node* start = places_.runs[vm][i]->as_table()->get("start")) {
          scenario_.vms[vm].runs[i].start = read_trigger(*start, "start");
        }
      }
    }
  }

  Trigger read_trigger(const toml::node& node, const std::string& what) {
    Trigger trigger{.line = node.source().begin.line};
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      fault(node, what + " must be a table such as { after = \"30s\" } or { when = [\"vm1\"], " +
                      "attempts = \"640M\" }");
      return trigger;
    }
    TableReader reader(*table, what, errors_);
    reader.take<std::uint64_t>("after", &trigger.delay_ns, parse_duration);
    trigger.vms = read_names(reader);
    std::size_t conditions = 0;
    if (reader.take<std::uint64_t>("attempts", &trigger.bytes, parse_bytes)) {
      trigger.kind = Trigger::Kind::kAttempt;
      ++conditions;
    }
    if (reader.take<std::string>("phase", &trigger.phase, parse_name)) {
      trigger.kind = Trigger::Kind::kPhase;
      ++conditions;
    }
    bool ended = false;
    reader.take_flag("ended", &ended);
    if (ended) {
      trigger.kind = Trigger::Kind::kEnd;
      ++conditions;
    }
    reader.refuse_unknown_keys();
    if (conditions > 1 || (conditions == 1) == trigger.vms.empty()) {
      fault(node, what + " with 'when' needs one of 'attempts', 'phase' and 'ended = true', and " +
                      "these need 'when'");
      return trigger;
    }
    check_reachable(trigger, node, what);
    return trigger;
  }

  std::vector<std::size_t> read_names(TableReader& reader) {
    std::vector<std::size_t> vms;
    const toml::node* names = reader.find("when");
    if (names == nullptr) {
      return vms;
    }
    const toml::array* array = names->as_array();
    if (array == nullptr || array->empty() || !array->is_homogeneous(toml::node_type::string)) {
      fault(*names, "when must be a list of VMs' names, such as [\"vm1\"]");
      return vms;
    }
    for (const toml::node& name : *array) {
      const std::string text = name.as_string()->get();
      if (const auto vm = index_of(text)) {
        vms.push_back(*vm);
      } else {
        fault(name, "there is no VM '" + text + "'");
      }
    }
    return vms;
  }

  void check_reachable(const Trigger& trigger, const toml::node& node, const std::string& what) {
    for (const std::size_t vm : trigger.vms) {
      const VmPlan& plan = scenario_.vms[vm];
      if (!comes_so_far(plan, trigger)) {
        fault(node, what + ": VM '" + plan.name + "' never " + deed_of(trigger));
      }
    }
  }

  void check_endless() {
    for (std::size_t vm = 0; vm < scenario_.vms.size(); ++vm) {
      const VmPlan& plan = scenario_.vms[vm];
      for (std::size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.runs[i].for_ever && !scenario_.stop) {
          fault(*places_.runs[vm][i], "it would go on for ever: add a [stop] to the scenario");
        }
        if (plan.runs[i].for_ever && (i + 1 < plan.runs.size() || plan.runs[i].times > 1)) {
          fault(*places_.runs[vm][i], "what goes on for ever must be the VM's last run");
        }
      }
    }
  }

  // A run waits for the one before it and, by its trigger, for others' runs: for the first of a VM,
  // without which nothing is reached, or for the last. A run that waits for itself never starts.
  void check_cycles() {
    std::set<std::pair<std::size_t, std::size_t>> settled;
    for (bool progress = true; progress;) {
      progress = false;
      for (std::size_t vm = 0; vm < scenario_.vms.size(); ++vm) {
        for (std::size_t i = 0; i < scenario_.vms[vm].runs.size(); ++i) {
          if (!settled.contains({vm, i}) && can_start(vm, i, settled)) {
            settled.insert({vm, i});
            progress = true;
          }
        }
      }
    }
    for (std::size_t vm = 0; vm < scenario_.vms.size(); ++vm) {
      for (std::size_t i = 0; i < scenario_.vms[vm].runs.size(); ++i) {
        if (!settled.contains({vm, i}) && (i == 0 || settled.contains({vm, i - 1}))) {
          fault(*places_.runs[vm][i], "VM '" + scenario_.vms[vm].name +
                                          "' waits here for what waits for it: nobody starts");
        }
      }
    }
  }

  [[nodiscard]] bool can_start(std::size_t vm, std::size_t run,
                               const std::set<std::pair<std::size_t, std::size_t>>& settled) const {
    const RunPlan& plan = scenario_.vms[vm].runs[run];
    if (run > 0 && !settled.contains({vm, run - 1})) {
      return false;
    }
    return std::all_of(plan.start.vms.begin(), plan.start.vms.end(), [&](std::size_t other) {
      const std::size_t last = scenario_.vms[other].runs.size() - 1;
      return settled.contains({other, plan.start.kind == Trigger::Kind::kEnd ? last : 0});
    });
  }

  [[nodiscard]] std::optional<std::size_t> index_of(const std::string& name) const {
    for (std::size_t i = 0; i < scenario_.vms.size(); ++i) {
      if (scenario_.vms[i].name == name) {
        return i;
      }
    }
    return std::nullopt;
  }

  void fault(const toml::node& where, const std::string& text) {
    errors_.push_back({std::max<unsigned>(where.source().begin.line, 1), text});
  }

  const toml::table& root_;
  Scenario& scenario_;
  Errors& errors_;
  Places places_;
};

std::uint64_t times(std::uint64_t value, double factor) {
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(value) * factor));
}

std::uint64_t whole(std::uint64_t bytes, double factor, std::uint64_t unit) {
  return std::max<std::uint64_t>(times(bytes, factor) / unit, 1) * unit;
}

void scale_trigger(Trigger& trigger, double factor) {
  // A little less, as what it is compared with is rounded to whole pages.
  constexpr double kRounding = 0.99;
  trigger.bytes = times(trigger.bytes, factor * kRounding);
  trigger.delay_ns = times(trigger.delay_ns, factor);
}

Status scale_run(RunPlan& run, double factor) {
  const Workload* workload = find_workload(run.workload);
  // What is compared with a block's size must stay a multiple of the step.
  const std::uint64_t steps = run.step_bytes == 0 ? 1 : run.bytes / run.step_bytes;
  run.step_bytes = whole(run.step_bytes, factor, kPageSize);
  run.bytes = run.workload == "usemem" ? steps * run.step_bytes : whole(run.bytes, factor, kMiB);
  run.pause_ns = times(run.pause_ns, factor);
  scale_trigger(run.start, factor);
  if (run.bytes < workload->bytes_min) {
    return invalid(run.workload + " needs a size of " + format_size(workload->bytes_min) +
                   ", and scaling leaves " + format_size(run.bytes));
  }
  return {};
}

// Steps are rounded to pages, so that a block which was large enough may be a little too small.
Status check_reachable_still(const Scenario& small, const Trigger& trigger) {
  for (const std::size_t vm : trigger.vms) {
    if (!comes_so_far(small.vms[vm], trigger)) {
      return invalid(small.path + ":" + std::to_string(trigger.line) + ": " + small.name +
                     ": at this scale VM '" + small.vms[vm].name + "' never " + deed_of(trigger) +
                     ": use a larger one");
    }
  }
  return {};
}

}  // namespace

Result<std::string> parse_rate(const std::string& text) {
  FALLOW_TRY(pager::Pager::parse_demotion(text));
  return text;
}

ScenarioReading read_scenario(std::string_view toml) {
  ScenarioReading reading;
  const toml::parse_result parsed = toml::parse(toml);
  if (!parsed) {
    reading.errors.push_back({std::max<unsigned>(parsed.error().source().begin.line, 1),
                              "not TOML: " + std::string(parsed.error().description())});
    return reading;
  }
  Reader(parsed.table(), reading).read();
  sort_by_line(reading.errors);
  return reading;
}

Result<Scenario> load_scenario(const std::string& path) {
  const Result<std::string> text = read_text_file(path, kFileBytesMax);
  FALLOW_TRY(text);
  ScenarioReading reading = read_scenario(*text);
  if (!reading.errors.empty()) {
    return invalid(error_lines(path, reading.errors));
  }
  reading.scenario.path = path;
  char fingerprint[17];
  std::snprintf(fingerprint, sizeof fingerprint, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(text->data(), text->size())));
  reading.scenario.fingerprint = fingerprint;
  return std::move(reading.scenario);
}

Result<Scenario> scaled(const Scenario& scenario, double factor) {
  if (!(factor >= kScaleMin && factor <= kScaleMax)) {
    return invalid("the scale must be from 0.015625 to 4");
  }
  Scenario small = scenario;
  small.scale = scenario.scale * factor;
  small.memory_bytes = whole(scenario.memory_bytes, factor, kPageSize);
  small.interval_ns = std::min(scenario.interval_ns,
                               std::max(times(scenario.interval_ns, factor), kIntervalNsSmall));
  for (VmPlan& vm : small.vms) {
    vm.ram_bytes = std::max(whole(vm.ram_bytes, factor, kPageSize), kRamMin);
    vm.disk_bytes = whole(vm.disk_bytes, factor, kPageSize);
    for (RunPlan& run : vm.runs) {
      if (const Status status = scale_run(run, factor); !status) {
        return invalid(scenario.path + ":" + std::to_string(run.line) + ": " + scenario.name +
                       ", VM '" + vm.name + "': " + status.error().text);
      }
    }
  }
  if (small.stop) {
    scale_trigger(*small.stop, factor);
    FALLOW_TRY(check_reachable_still(small, *small.stop));
  }
  for (const VmPlan& vm : small.vms) {
    for (const RunPlan& run : vm.runs) {
      FALLOW_TRY(check_reachable_still(small, run.start));
    }
  }
  return small;
}

}  // namespace fallow::lab
