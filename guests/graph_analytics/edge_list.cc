#include "graph_analytics/edge_list.h"

#include <algorithm>

#include "common/copies.h"
#include "common/mix.h"
#include "common/number_lines.h"
#include "common/options.h"

namespace fallow::guests {
namespace {

bool parse_vertex(std::string_view text, std::uint32_t& vertex) {
  std::uint64_t number = 0;
  if (!parse_whole(text, number) || number > UINT32_MAX) {
    return false;
  }
  vertex = static_cast<std::uint32_t>(number);
  return true;
}

std::vector<std::uint32_t> vertices_of(const std::vector<Edge>& edges) {
  std::vector<std::uint32_t> vertices;
  vertices.reserve(edges.size() * 2);
  for (const Edge& edge : edges) {
    vertices.push_back(edge.from);
    vertices.push_back(edge.to);
  }
  std::sort(vertices.begin(), vertices.end());
  vertices.erase(std::unique(vertices.begin(), vertices.end()), vertices.end());
  return vertices;
}

EdgeList renumbered(std::vector<Edge> edges) {
  const std::vector<std::uint32_t> vertices = vertices_of(edges);
  const auto number = [&vertices](std::uint32_t vertex) {
    const auto place = std::lower_bound(vertices.begin(), vertices.end(), vertex);
    return static_cast<std::uint32_t>(place - vertices.begin());
  };
  for (Edge& edge : edges) {
    edge = {number(edge.from), number(edge.to)};
  }
  return {static_cast<std::uint32_t>(vertices.size()), std::move(edges)};
}

std::uint32_t end_of_some(const std::vector<Edge>& edges, Random& random) {
  const std::uint64_t end = random.below(edges.size() * 2);
  return end % 2 == 0 ? edges[end / 2].from : edges[end / 2].to;
}

}  // namespace

std::variant<EdgeList, std::string> load_edges(const std::string& path, std::uint64_t edges_max) {
  std::vector<Edge> edges;
  const LineForm form{2, "", "two vertex numbers below 2^32, such as 17,4", edges_max};
  std::string error = read_number_lines(path, form, [&edges](auto fields) {
    Edge edge;
    if (!parse_vertex(fields[0], edge.from) || !parse_vertex(fields[1], edge.to)) {
      return false;
    }
    edges.push_back(edge);
    return true;
  });
  if (!error.empty()) {
    return error;
  }
  return renumbered(std::move(edges));
}

GraphShape graph_shape_within(std::uint64_t megabytes) {
  GraphShape shape;
  const std::uint64_t parts = small_part(megabytes);
  shape.vertices /= static_cast<std::uint32_t>(parts);
  shape.edges /= static_cast<std::uint32_t>(parts);
  return shape;
}

// Simon's process: a new vertex at regular intervals, and every other end of an edge is an end of
// an edge before it, chosen evenly, so that who has many edges gets more.
EdgeList generate_edges(std::uint64_t seed, const GraphShape& shape) {
  Random random(seed);
  EdgeList list{2, {{0, 1}}};
  list.edges.reserve(shape.edges);
  while (list.edges.size() < shape.edges) {
    const std::uint64_t due = list.edges.size() * shape.vertices / shape.edges + 2;
    const bool is_new = list.vertices < std::min<std::uint64_t>(due, shape.vertices);
    const std::uint32_t one = is_new ? list.vertices++ : end_of_some(list.edges, random);
    std::uint32_t other = one;
    while (other == one) {
      other = end_of_some(list.edges, random);
    }
    list.edges.push_back(random.below(2) == 0 ? Edge{one, other} : Edge{other, one});
  }
  return list;
}

}  // namespace fallow::guests
