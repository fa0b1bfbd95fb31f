#include "kernel_build_like/options.h"

#include "common/child.h"
#include "common/options.h"
#include "kernel_build_like/source.h"

namespace fallow::guests {

std::variant<BuildOptions, std::string> parse_build_options(
    std::span<const char* const> arguments) {
  BuildOptions options;
  Options table("kernel-build-like", options.help);
  table.text("--compiler", options.compiler);
  table.count("--megabytes", options.megabytes, {kCompileMegabytesMin, kCompileMegabytesMax});
  table.count("--units", options.units, {1, 10'000});
  table.count("--jobs", options.jobs, {1, Child::kMost});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  const std::string path = find_program(options.compiler);
  if (path.empty() && !options.help) {
    return table.wrong("no program '" + options.compiler +
                       "': install g++, or name a C++ compiler with --compiler PATH");
  }
  options.compiler = path;
  return options;
}

std::string_view build_help() {
  return R"(kernel-build-like [--compiler PATH] [--megabytes N] [--units N] [--jobs N] [--iterations N]
  [--seed N]
Compiles many sources, each by a process of its own that takes its memory and soon gives it back, as
builds do. Writes C++ sources (--units, 8) into a private folder, compiles them (--compiler, g++), as
many at a time as --jobs says (1), links them and runs the result; all of that in each iteration (2). The
largest sources are such that g++ takes about N MiB (128) for one, others take less. What the result
prints is known beforehand and verified, and every object file must be that of the first iteration.
--seed (1): the sources. Runs on the host only: the guests have no compiler.
Prints 'attempt BYTES' before it begins, 'step BYTES MILLISECONDS objects X kilobytes K' after each
iteration, where X depends on all object files and K is the largest process so far, 'phase NAME
MILLISECONDS ...' for write and iterate, and 'done checksum X ...', where X depends on all that the
results printed and is the same for the same options. Exit codes: 0 done and verified; 1 the compiler
failed, a file or an output is wrong, or a signal asked for the end; 2 wrong use.
)";
}

}  // namespace fallow::guests
