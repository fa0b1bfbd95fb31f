// The command line of usemem.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct UsememOptions {
  std::uint64_t step_bytes = std::uint64_t{128} << 20;
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
  std::uint64_t seed = 1;
  bool once = false;  // stop by itself after the largest block
  bool idle = false;  // go over the largest block once and then keep it, idle
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<UsememOptions, std::string> parse_usemem_options(
    std::span<const char* const> arguments);

std::string_view usemem_help();

}  // namespace fallow::guests
