// The graph that is copied: from a file, or made up.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace fallow::guests {

struct Edge {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  bool operator==(const Edge&) const = default;
};

// Vertices are numbered from 0 without gaps; each is on some edge.
struct EdgeList {
  std::uint32_t vertices = 0;
  std::vector<Edge> edges;
};

// Lines 'from,to' of vertex numbers below 2^32, renumbered in their order. Or one line that says
// what is wrong with the file.
std::variant<EdgeList, std::string> load_edges(const std::string& path, std::uint64_t edges_max);

struct GraphShape {
  std::uint32_t vertices = 76'917;  // those of the Gowalla friendships that the lab's file holds
  std::uint32_t edges = 335'882;
};

// The same, with fewer vertices where memory is so little that a copy would be much of it.
GraphShape graph_shape_within(std::uint64_t megabytes);

// Power-law degrees. The same seed and shape give the same graph, on every machine. Wants at least
// two vertices, and at least as many edges as vertices.
EdgeList generate_edges(std::uint64_t seed, const GraphShape& shape = {});

}  // namespace fallow::guests
