#include "ring/memory_report.h"

#include <gtest/gtest.h>

namespace fallow::ring {
namespace {

MemoryReport good_report() {
  MemoryReport report{};
  report.ram_limit_pages = 65536;
  report.resident_pages = 65000;
  report.faults_total = UINT64_MAX;
  report.prefetched_total = 10;
  report.prefetch_hits_total = 10;
  report.curve_points = 3;
  report.curve[0] = {0, 1'000'000, 0};
  report.curve[1] = {10, 1'000'000, 0};
  report.curve[2] = {kReportPagesMax, 0, 0};
  return report;
}

template <typename Change>
bool passes(const Change& change) {
  MemoryReport report = good_report();
  change(report);
  return check_report(report).ok();
}

TEST(CheckReport, whatIsWhole_passes) {
  EXPECT_TRUE(check_report(good_report()).ok());
  EXPECT_TRUE(check_report({}).ok());
  EXPECT_TRUE(passes([](MemoryReport& report) {
    report.curve_points = 16;
    for (std::uint32_t i = 0; i < 16; ++i) {
      report.curve[i] = {i, 16 - i, 0};
    }
  }));
}

TEST(CheckReport, numbersOutOfBounds_fail) {
  EXPECT_FALSE(passes([](MemoryReport& r) { r.ram_limit_pages = kReportPagesMax + 1; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.resident_pages = UINT64_MAX; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.backing_pages = UINT64_MAX; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.working_set_pages = UINT64_MAX; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.prefetch_hits_total = 11; }));
}

TEST(CheckReport, curvesThatAreNone_fail) {
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve_points = 17; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve_points = UINT32_MAX; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[1].pages = 0; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[1].pages = UINT64_MAX; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[1].misses_per_million = 1'000'001; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[0].misses_per_million = 999'999; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[1].reserved = 1; }));
}

TEST(CheckReport, reservedFields_areZero) {
  EXPECT_FALSE(passes([](MemoryReport& r) { r.reserved0 = 1; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.reserved[4] = 1; }));
  EXPECT_FALSE(passes([](MemoryReport& r) { r.curve[15].pages = 1; }));
}

}  // namespace
}  // namespace fallow::ring
