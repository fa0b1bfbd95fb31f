#include "sort_words/options.h"

#include "common/copies.h"
#include "common/options.h"

namespace fallow::guests {

std::variant<SortOptions, std::string> parse_sort_options(std::span<const char* const> arguments) {
  SortOptions options;
  Options table("sort-words", options.help);
  table.count("--megabytes", options.megabytes, {(kProgramBytes >> 20) + 1, kMegabytesMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  return options;
}

std::string_view sort_help() {
  return R"(sort-words [--megabytes N] [--iterations N] [--seed N]
Sorts N MiB (128) of records of 64 bytes, each a word, the record's number and a seal over both: by
word, then by number again, and so on, a sort in each iteration (2). After each it verifies that every
record is whole, none is missing, and all are in order. --seed (1): the words and their order.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS by KEY order X' after each
iteration, where X depends on every record and its place, 'phase NAME MILLISECONDS ...' for build and
iterate, and 'done checksum X ...', where X depends on all of these and is the same for the same size
and seed. Exit codes: 0 done and verified; 1 memory was refused or came back wrong; 2 wrong use.
)";
}

}  // namespace fallow::guests
