#include "usemem/options.h"

#include <charconv>
#include <optional>

#include "usemem/pattern.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kBlockBytesMax = std::uint64_t{1} << 40;

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

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
std::optional<std::uint64_t> parse_block(std::string_view text) {
  const unsigned shift = text.empty() ? 0 : unit_shift(text.back());
  if (shift != 0) {
    text.remove_suffix(1);
  }
  const auto value = parse_whole(text);
  if (!value || *value == 0 || *value > (kBlockBytesMax >> shift)) {
    return std::nullopt;
  }
  const std::uint64_t bytes = *value << shift;
  return bytes % kPageSize == 0 ? std::optional(bytes) : std::nullopt;
}

std::string apply(UsememOptions& options, std::string_view name, std::string_view value) {
  const bool is_seed = name == "--seed";
  const auto number = is_seed ? parse_whole(value) : parse_block(value);
  if (!number) {
    return "usemem: " + std::string(name) + " '" + std::string(value) + "' is not " +
           (is_seed ? "a whole number" : "a size in whole 4 KiB pages, such as 128M");
  }
  (is_seed ? options.seed : name == "--step" ? options.step_bytes : options.max_bytes) = *number;
  return "";
}

bool takes_value(std::string_view name) {
  return name == "--step" || name == "--max" || name == "--seed";
}

}  // namespace

std::variant<UsememOptions, std::string> parse_usemem_options(
    std::span<const char* const> arguments) {
  UsememOptions options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--help" || name == "-h") {
      options.help = true;
    } else if (name == "--once") {
      options.once = true;
    } else if (!takes_value(name)) {
      return "usemem: no option '" + std::string(name) + "': see usemem --help";
    } else if (i + 1 == arguments.size()) {
      return "usemem: " + std::string(name) + " needs a value";
    } else if (std::string error = apply(options, name, arguments[++i]); !error.empty()) {
      return error;
    }
  }
  if (options.max_bytes < options.step_bytes) {
    return "usemem: --max must not be smaller than --step";
  }
  return options;
}

std::string_view usemem_help() {
  return "usemem [--step SIZE] [--max SIZE] [--seed N] [--once]\n"
         "Allocates a block of SIZE (128M), writes it page by page, reads it back and verifies "
         "it,\n"
         "frees it and takes a block larger by one step, up to --max (1G); then goes on over that\n"
         "one until SIGTERM (or ends there, with --once). Prints 'attempt BYTES' before a block "
         "is\n"
         "allocated and 'step BYTES MILLISECONDS' after each pass. Exit codes: 0 stopped or done,\n"
         "1 a page came back wrong or memory was refused, 2 wrong use.\n";
}

}  // namespace fallow::guests
