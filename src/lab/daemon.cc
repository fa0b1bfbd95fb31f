#include "lab/daemon.h"

#include <algorithm>
#include <fstream>

namespace fallow::lab {
namespace {

constexpr std::uint64_t kStartMsMax = 30'000;
constexpr std::uint64_t kAskNs = 20'000'000;
constexpr std::uint32_t kCallMsMax = 10'000;
constexpr int kEndGraceMs = 10'000;
constexpr std::size_t kLogBytesMax = std::size_t{4} << 20;
constexpr std::size_t kLastWordsMax = 1'000;

std::string setting(const std::string& key, const std::string& value) {
  return key + " = \"" + value + "\"\n";
}

}  // namespace

std::string daemon_config(const DaemonSettings& settings, const std::string& run_dir,
                          const std::string& arena_dir, const std::string& backing_dir) {
  return "[node]\n" + setting("memory", std::to_string(settings.memory_bytes)) +
         setting("arena", arena_dir) + setting("run_dir", run_dir) + "[policy]\n" +
         setting("spec", settings.first_policy) +
         setting("interval", std::to_string(settings.interval_ms) + "ms") + "[device]\n" +
         setting("backing_dir", backing_dir) + setting("demotion", settings.demotion) +
         setting("backing_speed", settings.backing_speed) + "[metrics]\n" +
         setting("listen", "off");
}

Daemon::Daemon(std::string folder)
    : folder_(std::move(folder)),
      client_(std::make_unique<node::ControlClient>(folder_ + "/control.sock", kCallMsMax)) {}

Daemon::~Daemon() {
  if (process_) {
    process_->end(kEndGraceMs);
  }
}

Result<std::unique_ptr<Daemon>> Daemon::start(LabLoop& loop, const DaemonSettings& settings,
                                              const std::string& folder) {
  std::unique_ptr<Daemon> daemon(new Daemon(folder));
  FALLOW_TRY(daemon->spawn(settings));
  FALLOW_TRY(daemon->wait_answer(loop));
  return daemon;
}

Status Daemon::spawn(const DaemonSettings& settings) {
  const std::string config = folder_ + "/fallowd.toml";
  std::ofstream(config) << daemon_config(settings, folder_, arena_.path(), backing_.path());
  auto process =
      ChildProcess::spawn({settings.program, "--config", config}, folder_ + "/fallowd.log");
  if (!process) {
    return process.error();
  }
  process_.emplace(*std::move(process));
  return {};
}

Status Daemon::wait_answer(LabLoop& loop) {
  bool answers = false;
  const auto ask = [&] { answers = answers || client_->status().ok(); };
  const auto timer = loop.events().every_ns(kAskNs, ask);
  FALLOW_TRY(timer);
  const auto over = [&] { return answers || process_->exit_code().has_value(); };
  const Status waited = loop.wait_until(over, kStartMsMax, "the daemon's start");
  loop.events().cancel(*timer);
  if (waited && answers) {
    return {};
  }
  const std::string what = waited ? "the daemon ended at once" : waited.error().text;
  return explain({ErrorCode::kUnreachable, what});
}

Error Daemon::explain(const Error& error) const {
  const auto text = read_text_file(folder_ + "/fallowd.log", kLogBytesMax);
  if (!text || text->empty()) {
    return error;
  }
  const std::string tail = text->substr(text->size() - std::min(text->size(), kLastWordsMax));
  return {error.code, error.text + "; the daemon's last words:\n" + tail};
}

}  // namespace fallow::lab
