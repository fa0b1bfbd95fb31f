#include "graph_analytics/graph.h"

#include "common/mix.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kVerticesPerLink = 64;

bool is_linked(std::uint64_t seed, std::uint64_t vertex) {
  return mix(seed, vertex) % kVerticesPerLink == 0;
}

std::uint64_t link_source(std::uint64_t seed, std::uint64_t vertex, std::uint64_t vertices) {
  return mix(~seed, vertex) % vertices;
}

// The edges of one copy in the order of where they lead.
struct Incoming {
  explicit Incoming(const EdgeList& list) : first(list.vertices + 1), sources(list.edges.size()) {
    for (const Edge& edge : list.edges) {
      ++first[edge.to + 1];
    }
    for (std::size_t v = 1; v < first.size(); ++v) {
      first[v] += first[v - 1];
    }
    std::vector<std::uint32_t> next = first;
    for (const Edge& edge : list.edges) {
      sources[next[edge.to]++] = edge.from;
    }
  }

  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> sources;
};

}  // namespace

Footprint graph_footprint(const EdgeList& list) {
  const std::uint64_t vertex_bytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);
  const std::uint64_t rank_bytes = 2 * sizeof(double);
  const std::uint64_t links = list.vertices / kVerticesPerLink + 1;
  const std::uint64_t incoming = (list.vertices + list.edges.size()) * sizeof(std::uint32_t);
  return {kProgramBytes + list.edges.size() * sizeof(Edge) + incoming,
          list.vertices * (vertex_bytes + rank_bytes) +
              (list.edges.size() + links) * sizeof(std::uint32_t)};
}

Graph::Graph(const EdgeList& list, std::uint64_t copies, std::uint64_t seed)
    : out_degrees_(list.vertices * copies) {
  reserve(list, copies, seed);
  const Incoming incoming(list);
  for (std::uint64_t copy = 0; copy < copies; ++copy) {
    const std::uint64_t base = copy * list.vertices;
    for (std::uint64_t v = 0; v < list.vertices; ++v) {
      first_.push_back(sources_.size());
      for (std::uint32_t i = incoming.first[v]; i < incoming.first[v + 1]; ++i) {
        add_edge(base + incoming.sources[i]);
      }
      if (is_linked(seed, base + v)) {
        add_edge(link_source(seed, base + v, vertices()));
      }
    }
  }
  first_.push_back(sources_.size());
  built_ = fingerprint();
}

// To the byte: a vector that grows by itself takes up to three times as much on the way.
void Graph::reserve(const EdgeList& list, std::uint64_t copies, std::uint64_t seed) {
  std::uint64_t links = 0;
  for (std::uint64_t v = 0; v < vertices(); ++v) {
    links += is_linked(seed, v) ? 1 : 0;
  }
  first_.reserve(vertices() + 1);
  sources_.reserve(list.edges.size() * copies + links);
}

void Graph::add_edge(std::uint64_t from) {
  sources_.push_back(static_cast<std::uint32_t>(from));
  ++out_degrees_[from];
}

std::uint64_t Graph::fingerprint() const {
  Fingerprint sum;
  for (std::uint64_t v = 0; v < vertices(); ++v) {
    sum.add(first_[v]);
    sum.add(out_degrees_[v]);
  }
  for (const std::uint32_t source : sources_) {
    sum.add(source);
  }
  return sum.value();
}

}  // namespace fallow::guests
