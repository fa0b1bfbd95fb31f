// The working memory of graph-analytics: copies of an edge list with a few edges between them, as
// each vertex's incoming edges one after the other (compressed sparse rows).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/copies.h"
#include "graph_analytics/edge_list.h"

namespace fallow::guests {

// With what PageRank keeps for each vertex.
Footprint graph_footprint(const EdgeList& list);

class Graph {
 public:
  // Vertex v of copy c gets the number c * list.vertices + v. One vertex in 64, as `seed` has it,
  // gets an edge from any vertex of any copy.
  Graph(const EdgeList& list, std::uint64_t copies, std::uint64_t seed);

  [[nodiscard]] std::uint64_t vertices() const { return out_degrees_.size(); }
  [[nodiscard]] std::uint64_t edges() const { return sources_.size(); }
  [[nodiscard]] std::uint32_t out_degree(std::uint64_t vertex) const {
    return out_degrees_[vertex];
  }
  // Where the edges into `vertex` come from.
  [[nodiscard]] std::span<const std::uint32_t> sources(std::uint64_t vertex) const {
    return {sources_.data() + first_[vertex], first_[vertex + 1] - first_[vertex]};
  }
  // Whether all of it is still what it was when it was built.
  [[nodiscard]] bool intact() const { return fingerprint() == built_; }

 private:
  void reserve(const EdgeList& list, std::uint64_t copies, std::uint64_t seed);
  void add_edge(std::uint64_t from);
  [[nodiscard]] std::uint64_t fingerprint() const;

  std::vector<std::uint64_t> first_;
  std::vector<std::uint32_t> sources_;
  std::vector<std::uint32_t> out_degrees_;
  std::uint64_t built_ = 0;
};

}  // namespace fallow::guests
