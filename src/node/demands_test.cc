#include "node/demands.h"

#include <gtest/gtest.h>

namespace fallow::node {
namespace {

constexpr ClientId kOne{1};

tmem::ClientStatistics read_from_memory(std::uint64_t pages) {
  tmem::ClientStatistics client{};
  client.id = kOne;
  client.interval.gets_succ = pages;
  return client;
}

TEST(Demands, countWhatRoseAndFade) {
  Demands demands;
  EXPECT_FALSE(demands.of(kOne).known);
  demands.note_totals(
      {{kOne, {.backing_reads = 100, .backing_wait_ns = 1000, .backing_pages = 7}}});
  demands.note_reads(read_from_memory(40));
  EXPECT_TRUE(demands.of(kOne).known);
  EXPECT_DOUBLE_EQ(demands.of(kOne).backing_reads, 100);
  EXPECT_DOUBLE_EQ(demands.of(kOne).memory_reads, 40);
  demands.fade(1'000);
  demands.note_totals(
      {{kOne, {.backing_reads = 110, .backing_wait_ns = 1500, .backing_pages = 5}}});
  EXPECT_DOUBLE_EQ(demands.of(kOne).backing_reads, 100 * policy::Demand::kFade + 10);
  EXPECT_DOUBLE_EQ(demands.of(kOne).backing_wait_ns, 1000 * policy::Demand::kFade + 500);
  EXPECT_EQ(demands.of(kOne).backing_pages, 5u);
  EXPECT_DOUBLE_EQ(demands.of(kOne).elapsed_ns, 1'000);
  demands.fade(2'000);
  EXPECT_DOUBLE_EQ(demands.of(kOne).elapsed_ns, 1'000 * policy::Demand::kFade + 2'000);
}

TEST(Demands, areNotKnownOfWhoSaysNothingAnyMore) {
  Demands demands;
  demands.note_totals({{kOne, {.backing_reads = 100}}});
  demands.note_totals({});
  EXPECT_FALSE(demands.of(kOne).known);
  // It has begun anew.
  demands.note_totals({{kOne, {.backing_reads = 30}}});
  EXPECT_DOUBLE_EQ(demands.of(kOne).backing_reads, 130);
  demands.forget_all_but({});
  EXPECT_DOUBLE_EQ(demands.of(kOne).backing_reads, 0);
}

TEST(DemandOf, takesAReportThatIsNotOld) {
  MemoryReport report{.age_ns = 1'000'000'000,
                      .ram_limit_pages = 10,
                      .backing_pages = 3,
                      .backing_reads_total = 4,
                      .backing_wait_ns_total = 5,
                      .curve = {{0, 1'000'000}, {20, 250'000}}};
  const auto demand = demand_of(report);
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->backing_reads, 4u);
  EXPECT_EQ(demand->ram_pages, 10u);
  EXPECT_DOUBLE_EQ(demand->curve->miss_ratio_at(20), 0.25);
  report.curve.clear();
  EXPECT_FALSE(demand_of(report)->curve);
  report.age_ns = 6'000'000'000;
  EXPECT_FALSE(demand_of(report));
}

}  // namespace
}  // namespace fallow::node
