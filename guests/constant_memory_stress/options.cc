#include "constant_memory_stress/options.h"

#include "common/copies.h"
#include "common/options.h"

namespace fallow::guests {

std::variant<StressOptions, std::string> parse_stress_options(
    std::span<const char* const> arguments) {
  StressOptions options;
  constexpr std::uint64_t kUnsaid = UINT64_MAX;
  std::uint64_t mean = kUnsaid;
  Options table("constant-memory-stress", options.help);
  table.count("--megabytes", options.megabytes, {(kProgramBytes >> 20) + 1, kMegabytesMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  table.count("--mean", mean, {0, 100});
  table.count("--deviation", options.deviation, {1, 100});
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  if (mean != kUnsaid && options.deviation == 0) {
    return table.wrong("--mean needs --deviation: without it every page is touched in turn");
  }
  options.mean = mean == kUnsaid ? options.mean : mean;
  return options;
}

std::string_view stress_help() {
  return R"(constant-memory-stress [--megabytes N] [--iterations N] [--seed N] [--deviation P [--mean P]]
Holds N MiB (128) and goes over them again and again: reads a page, verifies every word of it and writes
it anew, as many pages in each iteration (4) as there are. Every page in turn; or with --deviation
around one place, as a normal distribution has it, whose mean (50) and standard deviation are in percent
of the memory. What falls outside goes to the first or the last page. --seed (1): what is written, and
where. In the end all of it is verified.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS user P' after each
iteration, where P is the percentage of that time that the program computed and neither waited nor was
in the kernel, 'phase NAME MILLISECONDS ...' for build, iterate and verify, and 'done checksum X ...',
where X depends on every page that was read and is the same for the same size, iterations, seed and
distribution. Exit codes: 0 done and verified; 1 memory was refused or came back wrong; 2 wrong use.
)";
}

}  // namespace fallow::guests
