#include "graph_analytics/page_rank.h"

#include <gtest/gtest.h>

namespace fallow::guests {
namespace {

// Ranks of a graph as large as kList, by the book: a dense matrix.
std::vector<double> dense_ranks(const Graph& graph, int iterations) {
  const std::uint64_t size = graph.vertices();
  std::vector<double> ranks(size, 1.0 / static_cast<double>(size));
  for (int i = 0; i < iterations; ++i) {
    std::vector<double> next(size, 0.15 / static_cast<double>(size));
    for (std::uint64_t to = 0; to < size; ++to) {
      for (const std::uint32_t from : graph.sources(to)) {
        next[to] += 0.85 * ranks[from] / graph.out_degree(from);
      }
      for (std::uint64_t from = 0; from < size; ++from) {
        next[to] += graph.out_degree(from) == 0 ? 0.85 * ranks[from] / double(size) : 0;
      }
    }
    ranks = next;
  }
  return ranks;
}

const EdgeList kList = generate_edges(3, {50, 150});

TEST(PageRank, AgreesWithTheBook) {
  const Graph graph(kList, 3, 1);
  PageRank ranks(graph);
  for (int i = 0; i < 15; ++i) {
    ASSERT_EQ(ranks.iterate(), "");
  }
  const std::vector<double> expected = dense_ranks(graph, 15);
  for (std::uint64_t v = 0; v < graph.vertices(); ++v) {
    EXPECT_NEAR(ranks.ranks()[v], expected[v], 1e-12);
  }
  EXPECT_LT(ranks.change(), 0.05);
}

TEST(PageRank, ChecksumIsTheSameForTheSameGraphAndNotForAnother) {
  const auto checksum = [](std::uint64_t seed) {
    const Graph graph(kList, 3, seed);
    PageRank ranks(graph);
    EXPECT_EQ(ranks.iterate(), "");
    std::string error;
    const std::uint64_t sum = ranks.checksum(error);
    EXPECT_EQ(error, "");
    return sum;
  };
  EXPECT_EQ(checksum(1), checksum(1));
  EXPECT_NE(checksum(1), checksum(2));
}

TEST(PageRank, NoticesARankThatChangedInMemory) {
  const Graph graph(kList, 3, 1);
  PageRank ranks(graph);
  ASSERT_EQ(ranks.iterate(), "");
  const_cast<double&>(ranks.ranks()[77]) *= 1 + 1e-12;
  std::string error;
  EXPECT_NE(ranks.checksum(error), 0U);
  EXPECT_NE(error, "");
  EXPECT_NE(ranks.iterate(), "");
}

TEST(PageRank, NoticesAnEdgeThatChangedInMemory) {
  const Graph graph(kList, 3, 1);
  PageRank ranks(graph);
  ASSERT_EQ(ranks.iterate(), "");
  // An edge that begins elsewhere: the ranks no longer sum up to 1.
  auto& source = const_cast<std::uint32_t&>(graph.sources(0)[0]);
  source = (source + 40) % 150;
  EXPECT_NE(ranks.iterate(), "");
}

TEST(PageRank, RanksAGraphOfOneEdge) {
  const Graph graph({2, {{0, 1}}}, 1, 1);
  PageRank ranks(graph);
  EXPECT_EQ(ranks.iterate(), "");
  EXPECT_GT(ranks.ranks()[1], ranks.ranks()[0]);
}

}  // namespace
}  // namespace fallow::guests
