// The command line of constant-memory-stress.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct StressOptions {
  std::uint64_t megabytes = 128;
  std::uint64_t iterations = 4;
  std::uint64_t seed = 1;
  std::uint64_t mean = 50;
  std::uint64_t deviation = 0;  // 0: every page in turn
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<StressOptions, std::string> parse_stress_options(
    std::span<const char* const> arguments);

std::string_view stress_help();

}  // namespace fallow::guests
