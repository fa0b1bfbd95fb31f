#include "pager/memory_monitor.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_dir.h"
#include "base/units.h"

namespace fallow::pager {
namespace {

Resident page(std::uint64_t number, std::uint32_t space = 0) {
  return {space, 0, number * kPageSize};
}

// All pages in turn, so that memory for all is needed and less helps nothing.
TEST(MemoryMonitor, tellsHowMuchIsNeeded) {
  constexpr std::uint64_t kPages = 40'000;
  MemoryMonitor monitor(16'384);
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 0; i < kPages; ++i) {
      monitor.came(page(i, i % 2 == 0 ? 0 : 1));
    }
  }
  fallow_memory_report report{};
  monitor.report(report);
  EXPECT_NEAR(static_cast<double>(report.working_set_pages), kPages, kPages * 0.1);
  ASSERT_GE(report.curve_points, 2U);
  for (std::uint32_t i = 0; i < report.curve_points; ++i) {
    const fallow_miss_ratio_point& point = report.curve[i];
    if (point.pages < kPages * 85 / 100) {
      EXPECT_GT(point.misses_per_million, 800'000U) << point.pages;
    } else if (point.pages > kPages * 115 / 100) {
      EXPECT_LT(point.misses_per_million, 200'000U) << point.pages;
    }
    if (i > 0) {
      EXPECT_GT(point.pages, report.curve[i - 1].pages);
      EXPECT_LE(point.misses_per_million, report.curve[i - 1].misses_per_million);
    }
  }
}

TEST(MemoryMonitor, probesOnlyWhatItCounts) {
  MemoryMonitor small(1000);  // all pages
  small.came(page(7));
  small.came(page(8));
  EXPECT_EQ(small.probe()->address, 7 * kPageSize);
  EXPECT_EQ(small.probe()->address, 8 * kPageSize);
  EXPECT_FALSE(small.probe());
  MemoryMonitor large(64 * 1024);
  for (std::uint64_t i = 0; i < 64 * 1024; ++i) {
    large.came(page(i));
  }
  int sampled = 0;
  while (large.probe()) {
    ++sampled;
  }
  EXPECT_GT(sampled, 700);
  EXPECT_LT(sampled, 1400);
}

TEST(MemoryMonitor, keepsInTheSampleWhatWasProbedInVain) {
  MemoryMonitor monitor(1000);  // all pages
  monitor.came(page(7));
  const std::optional<Resident> probed = monitor.probe();
  ASSERT_TRUE(probed);
  const Resident again{probed->space, probed->stamp + 1, probed->address};
  monitor.stayed(again);
  monitor.stayed(again);  // once is enough
  EXPECT_EQ(monitor.probe(), again);
  EXPECT_FALSE(monitor.probe());
}

TEST(MemoryMonitor, writesATrace) {
  const TempDir folder;
  {
    MemoryMonitor monitor(1000);
    ASSERT_TRUE(monitor.trace_to(folder.path() + "/trace"));
    monitor.came(page(3));
    monitor.came(page(4, 1));
  }
  std::ifstream in(folder.path() + "/trace", std::ios::binary);
  std::uint64_t words[3] = {};
  in.read(reinterpret_cast<char*>(words), sizeof words);
  EXPECT_EQ(in.gcount(), 16);
  EXPECT_EQ(words[0], 3U);
  EXPECT_EQ(words[1], (std::uint64_t{1} << 52) + 4);
  EXPECT_FALSE(MemoryMonitor(1000).trace_to("/no/such/folder/trace"));
}

}  // namespace
}  // namespace fallow::pager
