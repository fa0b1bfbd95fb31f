// The command line of graph-analytics.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

struct GraphOptions {
  std::string edges;  // a file, or "" for a generated graph
  std::uint64_t megabytes = 128;
  std::uint64_t iterations = 20;
  std::uint64_t seed = 1;
  bool help = false;
};

// The options, or one line that says what is wrong with them.
std::variant<GraphOptions, std::string> parse_graph_options(std::span<const char* const> arguments);

std::string_view graph_help();

}  // namespace fallow::guests
