// constant-memory-stress (004, §4.7): holds the same memory all the time, and reads and writes it
// over and over. How much of its time it computes, rather than waits for its pages, is what the
// document's controller holds to a target.
#include "common/copies.h"
#include "common/report.h"
#include "common/user_time.h"
#include "constant_memory_stress/options.h"
#include "constant_memory_stress/stress.h"

namespace fallow::guests {
namespace {

std::string iterate_once(Stress& stress, const StressOptions& options, Random& random) {
  const NormalPages normal(stress.pages(), options.mean, options.deviation);
  std::string error;
  for (std::uint64_t i = 0; i < stress.pages() && error.empty(); ++i) {
    error = stress.renew(options.deviation == 0 ? i : normal.next(random));
  }
  return error;
}

std::string iterate(Stress& stress, const StressOptions& options) {
  const std::uint64_t start_ms = now_ms();
  Random random(options.seed);
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    const UserTime time;
    if (std::string error = iterate_once(stress, options, random); !error.empty()) {
      return error;
    }
    print_step(options.megabytes << 20, time.elapsed_ms(), printed("user %.1f", time.percent()));
  }
  print_phase("iterate", now_ms() - start_ms, "iterations " + std::to_string(options.iterations));
  return "";
}

std::string verify(Stress& stress) {
  const std::uint64_t start_ms = now_ms();
  std::string error = stress.verify();
  if (error.empty()) {
    print_phase("verify", now_ms() - start_ms);
  }
  return error;
}

int run(const StressOptions& options) {
  const std::uint64_t start_ms = now_ms();
  const std::uint64_t bytes = options.megabytes << 20;
  print_attempt(bytes);
  Stress stress((bytes - kProgramBytes) / kStressPageBytes, options.seed);
  if (!stress.valid()) {
    return print_error("no memory: use a smaller size");
  }
  stress.build();
  print_phase("build", now_ms() - start_ms, "pages " + std::to_string(stress.pages()));
  std::string error = iterate(stress, options);
  if (error.empty()) {
    error = verify(stress);
  }
  if (!error.empty()) {
    return print_error(error);
  }
  print_done(printed("checksum %016llx pages %llu milliseconds %llu",
                     static_cast<unsigned long long>(stress.checksum()),
                     static_cast<unsigned long long>(stress.pages()),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_stress_options, stress_help(), run);
}
