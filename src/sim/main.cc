// fallow-sim: recordings under other policies. This file only reads the command line and hands
// over.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "base/disk_speed.h"
#include "base/text.h"
#include "base/units.h"
#include "pager/pager.h"
#include "policy/policy_list.h"
#include "recording/file.h"
#include "sim/outcome_text.h"
#include "sim/replay.h"

namespace fallow::sim {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongUse = 2;
constexpr std::uint64_t kIntervalLeastNs = 1'000'000;
constexpr std::uint64_t kMemoryLeast = std::uint64_t{1} << 20;

struct Words {
  std::string file;
  std::string policies;
  std::string memory;
  std::string backing = "hdd";
  std::string interval;
  std::string demotion = "8000";
  bool json = false;
};

// One line whatever words it quotes.
int report(const Error& error) {
  std::string text = error.text;
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
  std::fprintf(stderr, "fallow-sim: %s\n", text.c_str());
  return error.code == ErrorCode::kInvalid ? kExitWrongUse : kExitFailed;
}

Result<ReplaySettings> settings_of(const Words& words) {
  ReplaySettings settings;
  const auto backing = DiskSpeed::parse(words.backing);
  if (!backing) {
    return invalid("--backing: " + backing.error().text);
  }
  settings.client.backing = *backing;
  const auto demotion = pager::Pager::parse_demotion(words.demotion);
  if (!demotion) {
    return invalid("--demotion: " + demotion.error().text);
  }
  settings.client.demotion_pages_per_second = *demotion;
  if (!words.memory.empty()) {
    const auto bytes = parse_size(words.memory);
    if (!bytes || *bytes < kMemoryLeast) {
      return invalid("--memory must be a size from 1M up, not '" + words.memory.substr(0, 80) +
                     "'");
    }
    settings.frames = *bytes / kPageSize;
  }
  if (!words.interval.empty()) {
    const auto ns = parse_duration_ns(words.interval);
    if (!ns || *ns < kIntervalLeastNs) {
      return invalid("--interval must be a time from 1ms up, not '" + words.interval.substr(0, 80) +
                     "'");
    }
    settings.interval_ns = *ns;
  }
  return settings;
}

Status replay_file(const Words& words) {
  const auto settings = settings_of(words);
  FALLOW_TRY(settings);
  const auto policies = words.policies.empty() ? Result(policy::tried_policies())
                                               : policy::parse_policies(words.policies);
  FALLOW_TRY(policies);
  const auto recording = recording::read_recording(words.file);
  FALLOW_TRY(recording);
  const auto script = make_script(*recording);
  if (!script) {
    return invalid(words.file + ": " + script.error().text);
  }
  for (const std::string& doubt : script->doubts) {
    std::fprintf(stderr, "fallow-sim: warning: %s\n", doubt.c_str());
  }
  auto outcomes = replay_all(*script, *settings, *policies);
  FALLOW_TRY(outcomes);
  std::fputs((words.json ? to_json(*script, *std::move(outcomes)) : to_table(*std::move(outcomes)))
                 .c_str(),
             stdout);
  return std::fflush(stdout) == 0 ? Status() : failed("cannot write to standard output");
}

int run(int argc, char** argv) {
  Words words;
  CLI::App app("Replays recordings of Fallow under other policies.", "fallow-sim");
  app.require_subcommand(1);
  CLI::App* replay = app.add_subcommand(
      "replay", "what the clients of a recording would have waited for under each policy");
  replay->add_option("FILE", words.file, "see `fallow record`")->required();
  replay->add_option("--policies", words.policies,
                     "for example greedy,smart-alloc:P=2 (default: all)");
  replay->add_option("--memory", words.memory,
                     "of the node, for example 64M (default: as recorded)");
  replay
      ->add_option("--backing", words.backing,
                   "speed of the backing stores: hdd, ssd or latency=2ms,bandwidth=200M")
      ->capture_default_str();
  replay->add_option("--interval", words.interval, "of the controller (default: as recorded)");
  replay
      ->add_option("--demotion", words.demotion,
                   "pages per second moved out of memory for a client over its target, or off")
      ->capture_default_str();
  replay->add_flag("--json", words.json, "print the outcomes as JSON instead of a table");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitWrongUse;
  }
  const Status status = replay_file(words);
  return status ? 0 : report(status.error());
}

}  // namespace
}  // namespace fallow::sim

int main(int argc, char** argv) {
  return fallow::sim::run(argc, argv);
}
