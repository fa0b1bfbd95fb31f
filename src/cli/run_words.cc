#include "cli/run_words.h"

#include "base/text.h"
#include "base/units.h"

namespace fallow::cli {

Result<DiskSpeed> parse_backing_speed(const std::string& text) {
  Result<DiskSpeed> speed = DiskSpeed::parse(text);
  return speed ? speed : invalid("--backing-speed: " + speed.error().text);
}

Result<std::uint64_t> parse_demotion(const std::string& text) {
  Result<std::uint64_t> rate = pager::Pager::parse_demotion(text);
  return rate ? rate : invalid("--demotion: " + rate.error().text);
}

void add_run_options(CLI::App& app, RunWords& words) {
  app.add_option("--ram", words.ram,
                 "How much of the program's paged memory may be in RAM, for example 256M")
      ->required();
  app.add_option("--vm", words.vm,
                 "The name that the daemon lists it by (default: program and pid)");
  app.add_option("--backing", words.backing,
                 "File for pages that the daemon refuses, or the folder of an unnamed one "
                 "(default: $TMPDIR or /var/tmp)");
  app.add_option("--backing-max", words.backing_max,
                 "How large that file may grow, for example 8G");
  app.add_option("--backing-speed", words.backing_speed, kBackingSpeedHelp)->capture_default_str();
  app.add_option("--demotion", words.demotion, kDemotionHelp)->capture_default_str();
  app.add_option("--ring", words.ring, "The daemon's ring socket")->envname("FALLOW_RING_SOCKET");
  app.add_option("--trace", words.trace,
                 "Write the number of each page that comes into RAM to this file, 8 bytes each");
  app.add_flag("--no-daemon", words.no_daemon, "Page to the backing file alone");
  app.add_flag("--report", words.report, "Print figures to standard error at the end");
  app.add_option("PROGRAM", words.program, "What to run, with its arguments, behind --")
      ->required()
      ->expected(-1);
  app.footer(
      "The exit code is the program's, 128 + N when signal N killed it; 2 for wrong use. "
      "docs/pager.md says which memory is paged.");
}

Status check_run_words(const RunWords& words, Command& command) {
  pager::PagerOptions& paging = command.run.pager;
  const Result<std::uint64_t> ram = parse_size(words.ram);
  if (!ram) {
    return invalid("--ram: " + ram.error().text);
  }
  paging.ram_pages = *ram / kPageSize;
  FALLOW_TRY(pager::Pager::check_ram_pages(paging.ram_pages));
  if (!words.vm.empty()) {
    FALLOW_TRY(check_name(words.vm));
  }
  if (!words.backing_max.empty()) {
    const Result<std::uint64_t> most = parse_size(words.backing_max);
    if (!most) {
      return invalid("--backing-max: " + most.error().text);
    }
    paging.store.backing_bytes_max = *most;
  }
  const Result<DiskSpeed> speed = parse_backing_speed(words.backing_speed);
  FALLOW_TRY(speed);
  paging.store.backing_speed = *speed;
  const Result<std::uint64_t> demotion = parse_demotion(words.demotion);
  FALLOW_TRY(demotion);
  paging.demotion_pages_per_second = *demotion;
  paging.store.name = words.vm;
  paging.store.socket = words.ring;
  paging.store.daemon = !words.no_daemon;
  paging.store.backing_path = words.backing;
  paging.trace_path = words.trace;
  command.run.program = words.program;
  command.report = words.report;
  return {};
}

}  // namespace fallow::cli
