// The words of `fallow run`, as CLI11 leaves them, and their check. Private to this room.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/disk_speed.h"
#include "base/result.h"
#include "cli/command_line.h"

namespace fallow::cli {

inline constexpr char kBackingSpeedHelp[] =
    "The speed of the backing file, emulated: disk (its own), hdd, ssd or "
    "latency=2ms,bandwidth=200M";
inline constexpr char kDemotionHelp[] =
    "Pages a second that go to the backing file while the daemon has more than the target, or off";
// Of --backing-speed and --demotion.
Result<DiskSpeed> parse_backing_speed(const std::string& text);
Result<std::uint64_t> parse_demotion(const std::string& text);

inline constexpr char kRunHelp[] =
    "Run a program with its memory paged: so much in RAM, the rest here";

struct RunWords {
  std::string ram;
  std::string vm;
  std::string backing;
  std::string backing_max;
  std::string backing_speed = "disk";
  std::string demotion = "2000";
  std::string ring;
  std::string trace;
  bool no_daemon = false;
  bool report = false;
  std::vector<std::string> program;
};

void add_run_options(CLI::App& app, RunWords& words);
Status check_run_words(const RunWords& words, Command& command);

}  // namespace fallow::cli
