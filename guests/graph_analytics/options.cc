#include "graph_analytics/options.h"

#include "common/copies.h"
#include "common/options.h"

namespace fallow::guests {

std::variant<GraphOptions, std::string> parse_graph_options(
    std::span<const char* const> arguments) {
  GraphOptions options;
  Options table("graph-analytics", options.help);
  table.text("--edges", options.edges);
  table.count("--megabytes", options.megabytes, {1, kMegabytesMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  return options;
}

std::string_view graph_help() {
  return R"(graph-analytics [--edges FILE] [--megabytes N] [--iterations N] [--seed N]
PageRank of a graph: the edges of FILE, a line 'from,to' for each, or a generated graph of a social
network's shape. As many copies of it, with a few edges between them, as take N MiB (128). Goes over
all of that memory in each iteration (20), and verifies it. --seed (1): the generated graph, and the
edges between copies.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS change C' after each
iteration, 'phase NAME MILLISECONDS ...' for load, build and iterate, and 'done checksum X ...', where
X depends on every rank and is the same for the same graph, size and seed. Exit codes: 0 done and
verified; 1 the file is not one of edges, memory was refused or came back wrong; 2 wrong use.
)";
}

}  // namespace fallow::guests
