#include "graph_analytics/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace fallow::guests {
namespace {

const EdgeList kTriangle{4, {{0, 1}, {1, 2}, {2, 0}, {3, 0}}};

std::vector<std::uint32_t> sources(const Graph& graph, std::uint64_t vertex) {
  const auto span = graph.sources(vertex);
  return {span.begin(), span.end()};
}

TEST(Graph, HoldsEachCopyUnderNumbersOfItsOwn) {
  const Graph graph(kTriangle, 5, 1);
  EXPECT_EQ(graph.vertices(), 20U);
  for (std::uint32_t base = 0; base < 20; base += 4) {
    std::vector<std::uint32_t> into = sources(graph, base);
    into.resize(2);  // a link comes after them
    EXPECT_EQ(into, (std::vector<std::uint32_t>{base + 2, base + 3}));
    EXPECT_EQ(sources(graph, base + 1).at(0), base);
  }
}

TEST(Graph, LinksSomeVerticesOfDifferentCopies) {
  const std::uint64_t copies = 1600;
  const Graph graph(kTriangle, copies, 1);
  const std::uint64_t links = graph.edges() - copies * kTriangle.edges.size();
  EXPECT_GT(links, 50U);
  EXPECT_LT(links, 150U);
  std::uint64_t across = 0;
  for (std::uint64_t v = 0; v < graph.vertices(); ++v) {
    for (const std::uint32_t source : graph.sources(v)) {
      ASSERT_LT(source, graph.vertices());
      across += source / 4 != v / 4 ? 1 : 0;
    }
  }
  EXPECT_GE(across, links - 2);
}

TEST(Graph, CountsEachEdgeWhereItBegins) {
  const Graph graph(kTriangle, 300, 7);
  std::uint64_t sum = 0;
  for (std::uint64_t v = 0; v < graph.vertices(); ++v) {
    sum += graph.out_degree(v);
  }
  EXPECT_EQ(sum, graph.edges());
}

TEST(Graph, NoticesAnEdgeThatChanged) {
  const Graph graph(kTriangle, 10, 1);
  EXPECT_TRUE(graph.intact());
  auto& source = const_cast<std::uint32_t&>(graph.sources(17)[0]);
  source ^= 1;
  EXPECT_FALSE(graph.intact());
}

TEST(Graph, FootprintCountsWhatItHolds) {
  const EdgeList list = generate_edges(1, {1000, 4000});
  const Footprint footprint = graph_footprint(list);
  const Graph graph(list, 20, 1);
  const std::uint64_t held = graph.vertices() * (8 + 4 + 8 + 8) + graph.edges() * 4;
  EXPECT_NEAR(static_cast<double>(footprint.of(20) - footprint.fixed), static_cast<double>(held),
              static_cast<double>(held) / 100);
}

}  // namespace
}  // namespace fallow::guests
