// The command line of kernel-build-like.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct BuildOptions {
  std::string compiler = "g++";
  std::uint64_t megabytes = 128;
  std::uint64_t units = 8;
  std::uint64_t jobs = 1;
  std::uint64_t iterations = 2;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them. `compiler` is the program's path.
std::variant<BuildOptions, std::string> parse_build_options(std::span<const char* const> arguments);

std::string_view build_help();

}  // namespace fallow::guests
