#include "cli/recording.h"

#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/text.h"

namespace fallow::cli {
namespace {

constexpr std::uint64_t kProgressNs = 1'000'000'000;

std::atomic<bool> interrupted{false};

// SIGINT and SIGTERM end the recording and not the program, for as long as this lives.
class Interruption {
 public:
  Interruption() {
    interrupted = false;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second one ends the program
    ::sigaction(SIGINT, &action, &before_int_);
    ::sigaction(SIGTERM, &action, &before_term_);
  }
  ~Interruption() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

 private:
  struct sigaction before_int_ {};
  struct sigaction before_term_ {};
};

std::string described(const node::RecordedFigures& figures) {
  return std::to_string(figures.operations) + " operations, " +
         format_size(figures.bytes / 1024 * 1024) +
         (figures.missing > 0 ? ", " + std::to_string(figures.missing) + " missing" : "");
}

// A terminal is told once a second how far it is.
class RecordProgress {
 public:
  RecordProgress(const Streams& streams, std::uint64_t begin_ns)
      : streams_(streams), next_ns_(begin_ns + kProgressNs) {}
  ~RecordProgress() {
    if (shown_) {
      streams_.err << "\n";
    }
  }
  RecordProgress(const RecordProgress&) = delete;
  RecordProgress& operator=(const RecordProgress&) = delete;

  void show(const node::RecordedFigures& figures, std::uint64_t now_ns) {
    if (streams_.terminal && now_ns >= next_ns_) {
      next_ns_ = now_ns + kProgressNs;
      shown_ = true;
      streams_.err << "\rrecording: " << described(figures) << "\x1b[K" << std::flush;
    }
  }

 private:
  const Streams& streams_;
  std::uint64_t next_ns_;
  bool shown_ = false;
};

}  // namespace

std::string record_warnings(const node::RecordedFigures& figures) {
  std::string text;
  if (figures.full) {
    text += "fallow: warning: the recording ended by itself at " +
            std::to_string(figures.operations) + " operations, as a longer one is not replayed\n";
  }
  if (figures.missing > 0) {
    text += "fallow: warning: " + std::to_string(figures.missing) +
            " operations are missing, as they came faster than they could be written: a replay "
            "will be off\n";
  }
  return text;
}

Result<std::string> record(const Command& command, const Streams& streams) {
  const SystemClock clock;
  const std::uint64_t begin_ns = clock.now_ns();
  const Interruption interruption;
  node::RecordingFile file(command.file);
  {
    RecordProgress progress(streams, begin_ns);
    FALLOW_TRY(file.record(
        node::ControlClient(command.socket_path), [&](const node::RecordedFigures& figures) {
          const std::uint64_t now_ns = clock.now_ns();
          progress.show(figures, now_ns);
          return interrupted || (command.record_ns > 0 && now_ns - begin_ns >= command.record_ns);
        }));
  }
  FALLOW_TRY(file.end());
  const node::RecordedFigures& figures = file.figures();
  streams.err << record_warnings(figures);
  if (command.form == Form::kJson) {
    return nlohmann::json{{"file", command.file},
                          {"operations", figures.operations},
                          {"missing", figures.missing},
                          {"bytes", figures.bytes},
                          {"seconds", static_cast<double>(clock.now_ns() - begin_ns) / 1e9}}
               .dump() +
           "\n";
  }
  return command.file + ": " + described(figures) + "\n";
}

}  // namespace fallow::cli
