// The command line of sort-words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct SortOptions {
  std::uint64_t megabytes = 128;
  std::uint64_t iterations = 2;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<SortOptions, std::string> parse_sort_options(std::span<const char* const> arguments);

std::string_view sort_help();

}  // namespace fallow::guests
