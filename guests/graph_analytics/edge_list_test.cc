#include "graph_analytics/edge_list.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/mix.h"
#include "common/test_file.h"

namespace fallow::guests {
namespace {

std::variant<EdgeList, std::string> load(std::string_view content) {
  return load_edges(TestFile(content).path(), 1000);
}

std::vector<std::uint32_t> degrees(const EdgeList& list) {
  std::vector<std::uint32_t> count(list.vertices);
  for (const Edge& edge : list.edges) {
    ++count[edge.from];
    ++count[edge.to];
  }
  std::sort(count.begin(), count.end());
  return count;
}

TEST(EdgeList, LoadRenumbersWithoutGaps) {
  const auto list = std::get<EdgeList>(load("4294967295,7\n7,100\n7,0\n"));
  EXPECT_EQ(list.vertices, 4U);
  EXPECT_EQ(list.edges, (std::vector<Edge>{{3, 1}, {1, 2}, {1, 0}}));
}

TEST(EdgeList, LoadRefusesWhatIsNotTwoVertices) {
  for (const char* line : {"1,-2", "1,4294967296", "1,99999999999999999999", "1,2,3", "a,b", "1",
                           "1.5,2", " 1,2", "from,to", "1,"}) {
    const auto loaded = load(line);
    ASSERT_TRUE(std::holds_alternative<std::string>(loaded)) << line;
    EXPECT_TRUE(std::get<std::string>(loaded).ends_with(
        "line 1: '" + std::string(line) + "' is not two vertex numbers below 2^32, such as 17,4"))
        << std::get<std::string>(loaded);
  }
}

TEST(EdgeList, GenerateHasTheShapeThatWasAskedFor) {
  const EdgeList list = generate_edges(1);
  const std::vector<std::uint32_t> count = degrees(list);
  EXPECT_EQ(list.vertices, GraphShape().vertices);
  EXPECT_EQ(list.edges.size(), GraphShape().edges);
  EXPECT_GE(count.front(), 1U);
  // In the Gowalla friendships half of the vertices are on one edge, and one is on 15,936.
  EXPECT_LE(count[count.size() / 3], 1U);
  EXPECT_LE(count[count.size() / 2], 2U);
  EXPECT_GE(count.back(), 3000U);
}

// The numbers are those of any machine: what depends on them can be compared between machines.
TEST(EdgeList, GenerateIsTheSameEverywhereAndDependsOnTheSeed) {
  const auto fingerprint = [](const EdgeList& list) {
    Fingerprint sum;
    for (const Edge& edge : list.edges) {
      sum.add(std::uint64_t{edge.from} << 32 | edge.to);
    }
    return sum.value();
  };
  EXPECT_EQ(fingerprint(generate_edges(1, {100, 400})), 12702627264160484966U);
  EXPECT_NE(fingerprint(generate_edges(2, {100, 400})), fingerprint(generate_edges(1, {100, 400})));
}

TEST(EdgeList, GenerateMakesTheSmallestGraph) {
  EXPECT_EQ(generate_edges(1, {2, 2}).vertices, 2U);
}

}  // namespace
}  // namespace fallow::guests
