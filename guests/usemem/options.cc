#include "usemem/options.h"

#include "common/options.h"
#include "common/pattern.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kBlockBytesMax = std::uint64_t{1} << 40;

unsigned unit_shift(char unit) {
  switch (unit) {
    case 'K':
      return 10;
    case 'M':
      return 20;
    case 'G':
      return 30;
    default:
      return 0;
  }
}

// A number of bytes, or with K, M or G; a whole number of pages, from one page up.
bool parse_block(std::string_view text, std::uint64_t& bytes) {
  const unsigned shift = text.empty() ? 0 : unit_shift(text.back());
  if (shift != 0) {
    text.remove_suffix(1);
  }
  std::uint64_t value = 0;
  if (!parse_whole(text, value) || value == 0 || value > (kBlockBytesMax >> shift) ||
      (value << shift) % kPageSize != 0) {
    return false;
  }
  bytes = value << shift;
  return true;
}

void add_block(Options& table, std::string_view name, std::uint64_t& bytes) {
  table.value(name, "a size in whole 4 KiB pages, such as 128M",
              [&bytes](std::string_view text) { return parse_block(text, bytes); });
}

}  // namespace

std::variant<UsememOptions, std::string> parse_usemem_options(
    std::span<const char* const> arguments) {
  UsememOptions options;
  Options table("usemem", options.help);
  add_block(table, "--step", options.step_bytes);
  add_block(table, "--max", options.max_bytes);
  table.count("--seed", options.seed);
  table.flag("--once", options.once);
  table.flag("--idle", options.idle);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  if (options.max_bytes < options.step_bytes) {
    return table.wrong("--max must not be smaller than --step");
  }
  if (options.once && options.idle) {
    return table.wrong("with --once the last block is given back: take --once or --idle");
  }
  return options;
}

std::string_view usemem_help() {
  return "usemem [--step SIZE] [--max SIZE] [--seed N] [--once] [--idle]\n"
         "Allocates a block of SIZE (128M), writes it page by page, reads it back and verifies "
         "it,\n"
         "frees it and takes a block larger by one step, up to --max (1G); then goes on over that\n"
         "one until SIGTERM (or ends there, with --once; or keeps it and sits idle until SIGTERM,\n"
         "with --idle, which prints 'phase fill MILLISECONDS' then). Prints 'attempt BYTES' before "
         "a\n"
         "block is allocated and 'step BYTES MILLISECONDS' after each pass. Exit codes: 0 stopped "
         "or done,\n"
         "1 a page came back wrong or memory was refused, 2 wrong use.\n";
}

}  // namespace fallow::guests
