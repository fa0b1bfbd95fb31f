#include "data_caching/options.h"

#include "common/child.h"
#include "common/copies.h"
#include "common/options.h"
#include "data_caching/items.h"

namespace fallow::guests {

std::variant<CachingOptions, std::string> parse_caching_options(
    std::span<const char* const> arguments) {
  CachingOptions options;
  Options table("data-caching", options.help);
  table.text("--memcached", options.memcached);
  table.count("--megabytes", options.megabytes, {kCacheMegabytesMin, kMegabytesMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  const std::string path = find_program(options.memcached);
  if (path.empty() && !options.help) {
    return table.wrong("no program '" + options.memcached +
                       "': install memcached, or say where it is with --memcached PATH");
  }
  options.memcached = path;
  return options;
}

std::string_view caching_help() {
  return R"(data-caching [--memcached PATH] [--megabytes N] [--iterations N] [--seed N]
Starts a memcached of its own (--memcached, memcached) on a socket in a private folder, and fills N MiB
(128) of it with values of 1 to 4 KiB. Each iteration (4) makes as many requests as there are values, few
of them asked for often and most rarely: 19 of 20 read a value and verify it, the others write it anew.
In the end every value is read and verified. memcached may evict nothing, so a value that is missing is
an error. --seed (1): the values and the requests. Runs on the host only: the guests have no memcached.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS gets G sets S' after each
iteration, 'phase NAME MILLISECONDS ...' for load, iterate and verify, and 'done checksum X ...', where X
depends on every value read and is the same for the same size, iterations and seed. Exit codes: 0 done
and verified; 1 memcached failed, a value is missing or other than it was written, or a signal asked for
the end; 2 wrong use.
)";
}

}  // namespace fallow::guests
