// A workload with half of its memory in RAM: under `fallow run`, against a memory control group
// that swaps to a file on a disk, or to zram. Whole running times, loading included.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "bench/bench_case.h"
#include "bench/host_swap.h"
#include "bench/memory_group.h"
#include "bench/own_daemon.h"
#include "bench/server_process.h"
#include "bench/zram_device.h"
#include "policy/miss_ratio_curve.h"

namespace fallow::bench {
namespace {

enum class SwapsTo { kFile, kZram };

// What is promised where swapping slows the program down this much; else only to be no slower.
constexpr double kSlowdown = 4;
constexpr double kPromised = 0.35;
constexpr unsigned kRounds = 3;
// The kernel kills a program that does nothing but swap, now and then.
constexpr unsigned kTries = 10;

struct Workload {
  const char* name;
  const char* program;
};
constexpr Workload kWorkloads[] = {
    {"pagerank", "graph-analytics"}, {"als", "in-memory-analytics"}, {"sort", "sort-words"}};

// Seconds from its start to its end; nothing when it did not end well.
std::optional<double> time_of(const std::vector<std::string>& words, const MemoryGroup* group) {
  const SystemClock clock;
  const std::uint64_t start_ns = clock.now_ns();
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<char*> arguments;
    for (const std::string& word : words) {
      arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    const int nothing = ::open("/dev/null", O_WRONLY);
    if ((group == nullptr || group->join()) && ::dup2(nothing, STDOUT_FILENO) >= 0) {
      ::execv(arguments[0], arguments.data());
    }
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) {
    return std::nullopt;
  }
  return static_cast<double>(clock.now_ns() - start_ns) / 1e9;
}

double must(const std::optional<double>& seconds, const std::string& what) {
  if (!seconds) {
    log_error("program-bench", {{"what", what + " did not end well"}});
    std::exit(1);
  }
  return *seconds;
}

Result skip(const Case& what, const std::string& why) {
  return Result{what.name, {}, what.unit, what.better, {}, why};
}

Result run(const Case& what, const Settings& settings, const Workload& workload, SwapsTo swaps_to) {
  const bool quick = settings.length == Settings::Length::kQuick;
  const std::uint64_t megabytes = quick ? 24 : 128;
  const std::uint64_t limit = megabytes / 2 << 20;
  if (::geteuid() != 0 || !find_program("mkswap")) {
    return skip(what, "host swap needs root and mkswap");
  }
  const auto group = MemoryGroup::create(limit);
  if (!group) {
    return skip(what, "no memory control group: " + group.error().text);
  }
  std::unique_ptr<SwapFile> file;
  std::unique_ptr<ZramDevice> zram;
  if (swaps_to == SwapsTo::kFile) {
    auto made = SwapFile::create(std::uint64_t{16 * megabytes} << 20);
    if (!made) {
      return skip(what, made.error().text);
    }
    file = std::move(*made);
  } else {
    auto made = ZramDevice::create("lz4", std::uint64_t{16 * megabytes} << 20);
    if (!made) {
      return skip(what, "no zram with lz4: " + made.error().text);
    }
    zram = std::move(*made);
  }
  const OwnDaemon daemon({std::to_string(2 * megabytes) + "M"});
  const std::vector<std::string> plain = {own_program(std::string("dynamic/") + workload.program),
                                          "--megabytes", std::to_string(megabytes)};
  std::vector<std::string> paged = {
      own_program("fallow"), "run", "--ring", daemon.ring_socket(), "--ram",
      std::to_string(limit), "--"};
  paged.insert(paged.end(), plain.begin(), plain.end());
  bool swapped = true;
  const double alone = must(time_of(plain, nullptr), workload.program);
  Result result = measure_in_turn(
      what, quick ? 1 : kRounds,
      [&] { return must(time_of(paged, nullptr), std::string(workload.program) + " when paged"); },
      [&] {
        std::optional<double> seconds;
        for (unsigned i = 0; i < kTries && swapped && !seconds; ++i) {
          const auto swap = HostSwap::on(file != nullptr ? file->path() : zram->path());
          swapped = swap.ok();
          seconds = swapped ? time_of(plain, group->get()) : std::nullopt;
        }
        swapped = swapped && seconds;
        return seconds.value_or(0);
      });
  if (!swapped) {
    return skip(what, "the program did not survive its control group");
  }
  char note[96];
  std::snprintf(note, sizeof note, "%.3g s with all its memory; swapping slows it down %.3g times",
                alone, result.median.peer / alone);
  result.note = note;
  if (result.promised && result.median.peer / alone <= kSlowdown) {
    result.promised = 1;
  }
  return result;
}

Case make(const Workload& workload, SwapsTo swaps_to) {
  const bool file = swaps_to == SwapsTo::kFile;
  Case made{std::string("pager.") + workload.name + (file ? "_50" : "_50_zram"),
            "s",
            "lower",
            {},
            std::string(workload.program) +
                " with half of its memory in RAM, against a control group that swaps to " +
                (file ? "a file on a disk" : "zram"),
            {}};
  if (file) {
    made.promised = kPromised;
  }
  made.run = [workload, swaps_to](const Case& what, const Settings& settings) {
    return run(what, settings, workload, swaps_to);
  };
  return made;
}

std::vector<std::uint64_t> read_trace(const std::string& path) {
  std::vector<std::uint64_t> pages(std::filesystem::file_size(path) / sizeof(std::uint64_t));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(pages.data()),
            static_cast<std::streamsize>(pages.size() * sizeof(std::uint64_t)));
  return pages;
}

// The pages that a pager with little room brings in are what it can know of a program's references.
Result mrc_error(const Case& what, const Settings& settings) {
  const bool quick = settings.length == Settings::Length::kQuick;
  const std::uint64_t megabytes = quick ? 24 : 128;
  const TempDir folder("/var/tmp");
  const OwnDaemon daemon({std::to_string(2 * megabytes) + "M"});
  Measurement worst{0, 1};
  std::string note = "of at most 1; mean absolute error for";
  for (const Workload& workload : kWorkloads) {
    const std::string trace = folder.path() + "/" + workload.name;
    must(time_of({own_program("fallow"), "run", "--ring", daemon.ring_socket(), "--ram",
                  std::to_string(megabytes / 4) + "M", "--trace", trace, "--",
                  own_program(std::string("dynamic/") + workload.program), "--megabytes",
                  std::to_string(megabytes)},
                 nullptr),
         std::string(workload.program) + " when paged");
    const std::vector<std::uint64_t> pages = read_trace(trace);
    policy::MissRatioEstimator estimator({});
    for (const std::uint64_t page : pages) {
      estimator.reference(page);
    }
    const double error =
        policy::mean_absolute_error(estimator.curve(), policy::exact_miss_ratio_curve(pages));
    worst.ours = std::max(worst.ours, error);
    char text[96];
    std::snprintf(text, sizeof text, " %s %.2g (%zu references, a sample of %.2g)", workload.name,
                  error, pages.size(), estimator.sampling_rate());
    note += text;
  }
  Result result{what.name, worst, what.unit, what.better, what.promised, {}};
  result.note = note;
  return result;
}

}  // namespace

std::vector<Case> program_cases() {
  std::vector<Case> cases = {{"pager.mrc_error", "error", "lower", 0.02,
                              "the estimated miss-ratio curve against the exact one, on traces of "
                              "paged workloads: the worst",
                              mrc_error}};
  for (const SwapsTo swaps_to : {SwapsTo::kFile, SwapsTo::kZram}) {
    for (const Workload& workload : kWorkloads) {
      cases.push_back(make(workload, swaps_to));
    }
  }
  return cases;
}

}  // namespace fallow::bench
