// The command line of sql-analytics.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct SqlOptions {
  std::string ratings;  // a file, or "" for generated ones
  std::uint64_t megabytes = 128;
  std::uint64_t iterations = 2;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<SqlOptions, std::string> parse_sql_options(std::span<const char* const> arguments);

std::string_view sql_help();

}  // namespace fallow::guests
