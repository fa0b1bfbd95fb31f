// kernel-build-like: many short compilations, as when a kernel is built. No process lives long, and
// together they ask for memory and give it back all the time.
#include <sys/resource.h>

#include "common/child.h"
#include "common/report.h"
#include "kernel_build_like/build.h"
#include "kernel_build_like/options.h"

namespace fallow::guests {
namespace {

// Of all that have ended.
std::uint64_t largest_child_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss);
}

std::string write_sources(Build& build, const BuildOptions& options) {
  const std::uint64_t start_ms = now_ms();
  std::string error = build.write_sources();
  if (error.empty()) {
    print_phase("write", now_ms() - start_ms, "units " + std::to_string(options.units));
  }
  return error;
}

std::string iterate(Build& build, const BuildOptions& options) {
  const std::uint64_t start_ms = now_ms();
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    const std::uint64_t step_ms = now_ms();
    if (std::string error = build.iterate(); !error.empty()) {
      return error;
    }
    print_step(
        options.jobs * options.megabytes << 20, now_ms() - step_ms,
        printed("objects %016llx kilobytes %llu", static_cast<unsigned long long>(build.objects()),
                static_cast<unsigned long long>(largest_child_kilobytes())));
  }
  print_phase("iterate", now_ms() - start_ms, "iterations " + std::to_string(options.iterations));
  return "";
}

int run(const BuildOptions& options) {
  end_children_on_signals();
  const std::uint64_t start_ms = now_ms();
  print_attempt(options.jobs * options.megabytes << 20);
  Build build(options);
  std::string error = write_sources(build, options);
  error = error.empty() ? iterate(build, options) : error;
  if (stop_requested()) {
    return print_error("a signal asked for the end");
  }
  if (!error.empty()) {
    return print_error(error);
  }
  print_done(printed("checksum %016llx units %llu milliseconds %llu",
                     static_cast<unsigned long long>(build.printed()),
                     static_cast<unsigned long long>(options.units),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_build_options, build_help(), run);
}
