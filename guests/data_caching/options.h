// The command line of data-caching.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct CachingOptions {
  std::string memcached = "memcached";
  std::uint64_t megabytes = 128;
  std::uint64_t iterations = 4;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them. `memcached` is the program's path.
std::variant<CachingOptions, std::string> parse_caching_options(
    std::span<const char* const> arguments);

std::string_view caching_help();

}  // namespace fallow::guests
