// The command line of in-memory-analytics.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct RatingOptions {
  std::string ratings;  // a file, or "" for generated ones
  std::uint64_t megabytes = 128;
  std::uint64_t factors = 8;
  std::uint64_t iterations = 4;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<RatingOptions, std::string> parse_rating_options(
    std::span<const char* const> arguments);

std::string_view rating_help();

}  // namespace fallow::guests
