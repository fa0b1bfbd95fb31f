// graph-analytics (004, §2.3, after CloudSuite's): PageRank over a graph that is larger than the
// guest's memory. Each iteration goes over the edges in order and over the ranks mostly in order:
// the links between the copies are what jumps.
#include "graph_analytics/graph.h"

#include "common/report.h"
#include "graph_analytics/options.h"
#include "graph_analytics/page_rank.h"

namespace fallow::guests {
namespace {

std::variant<EdgeList, std::string> load(const GraphOptions& options) {
  // While it is read an edge takes this much, and one copy is not smaller.
  const std::uint64_t edges_max = (options.megabytes << 20) / (2 * sizeof(Edge));
  return options.edges.empty() ? generate_edges(options.seed, graph_shape_within(options.megabytes))
                               : load_edges(options.edges, edges_max);
}

std::string iterate(PageRank& ranks, std::uint64_t bytes, std::uint64_t iterations) {
  const std::uint64_t start_ms = now_ms();
  for (std::uint64_t i = 0; i < iterations; ++i) {
    const std::uint64_t step_ms = now_ms();
    if (std::string error = ranks.iterate(); !error.empty()) {
      return error;
    }
    print_step(bytes, now_ms() - step_ms, printed("change %.9f", ranks.change()));
  }
  print_phase("iterate", now_ms() - start_ms, "iterations " + std::to_string(iterations));
  return "";
}

int rank_copies(const EdgeList& list, std::uint64_t copies, const GraphOptions& options) {
  const std::uint64_t bytes = graph_footprint(list).of(copies);
  print_attempt(bytes);
  const std::uint64_t start_ms = now_ms();
  const Graph graph(list, copies, options.seed);
  PageRank ranks(graph);
  print_phase("build", now_ms() - start_ms,
              "copies " + std::to_string(copies) + " vertices " + std::to_string(graph.vertices()) +
                  " edges " + std::to_string(graph.edges()));
  std::string error = iterate(ranks, bytes, options.iterations);
  if (!error.empty()) {
    return print_error(error);
  }
  const std::uint64_t checksum = ranks.checksum(error);
  if (!error.empty()) {
    return print_error(error);
  }
  if (!graph.intact()) {
    return print_error("an edge came back from memory other than it was written");
  }
  print_done(printed("checksum %016llx copies %llu milliseconds %llu",
                     static_cast<unsigned long long>(checksum),
                     static_cast<unsigned long long>(copies),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

int run(const GraphOptions& options) {
  const std::uint64_t start_ms = now_ms();
  const auto loaded = load(options);
  if (const auto* error = std::get_if<std::string>(&loaded)) {
    return print_error(*error);
  }
  const auto& list = std::get<EdgeList>(loaded);
  const Footprint footprint = graph_footprint(list);
  const std::uint64_t copies = footprint.copies_in(options.megabytes);
  if (copies == 0) {
    std::fputs(too_small("graph-analytics", options.megabytes, footprint).c_str(), stderr);
    return 2;
  }
  print_phase(
      "load", now_ms() - start_ms,
      "vertices " + std::to_string(list.vertices) + " edges " + std::to_string(list.edges.size()));
  return rank_copies(list, copies, options);
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_graph_options, graph_help(), run);
}
