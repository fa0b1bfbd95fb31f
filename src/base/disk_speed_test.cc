#include "base/disk_speed.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kMb = 1'000'000;

TEST(DiskSpeedTest, isReadAndWrittenAsText) {
  EXPECT_FALSE(DiskSpeed().emulated());
  EXPECT_EQ(DiskSpeed().described(), "disk");
  for (const char* text :
       {"hdd", "ssd", "latency=2ms,bandwidth=200M", "latency=0.25ms,bandwidth=1G",
        "latency=0ms,bandwidth=1500K", "latency=1000ms,bandwidth=1048577"}) {
    const auto speed = DiskSpeed::parse(text);
    ASSERT_TRUE(speed.ok()) << speed.error().text;
    EXPECT_TRUE(speed->emulated());
    EXPECT_EQ(speed->described(), std::string(text) + " (emulated)");
    EXPECT_EQ(DiskSpeed::parse(speed->spec())->spec(), speed->spec());
  }
  EXPECT_EQ(DiskSpeed::parse("bandwidth=2048M,latency=1s")->spec(), "latency=1000ms,bandwidth=2G");
}

TEST(DiskSpeedTest, refusesWhatCannotBe) {
  for (const char* text :
       {"", "HDD", "hdd ", "tape", "latency=2ms", "bandwidth=200M",
        "disk:", "latency=2ms,bandwidth=200M,x=1", "latency=2ms,latency=2ms",
        "latency=2,bandwidth=200M", "latency=-2ms,bandwidth=200M", "latency=2ms,bandwidth=fast",
        "latency=2ms,bandwidth=0", "latency=2ms,bandwidth=1023K", "latency=2ms,bandwidth=9G",
        "latency=2s,bandwidth=200M", "latency=2ms,bandwidth=200M,"}) {
    const auto speed = DiskSpeed::parse(text);
    ASSERT_FALSE(speed.ok()) << text;
    EXPECT_EQ(speed.error().code, ErrorCode::kInvalid);
    EXPECT_NE(speed.error().text.find("give disk, hdd, ssd or"), std::string::npos);
    EXPECT_EQ(speed.error().text.find('\n'), std::string::npos);
  }
}

TEST(DiskSpeedTest, saysHowMuchItMovesInTheTimeOfALatency) {
  EXPECT_EQ(DiskSpeed::parse("hdd")->bytes_per_latency(), 960'000u);
  EXPECT_EQ(DiskSpeed::parse("ssd")->bytes_per_latency(), 60'000u);
  EXPECT_EQ(DiskSpeed().bytes_per_latency(), 0u);
  EXPECT_EQ(DiskSpeed::parse("latency=1s,bandwidth=8G")->bytes_per_latency(),
            std::uint64_t{8} << 30);
}

TEST(DiskModelTest, holdsNothingBackOnTheDiskThatIsThere) {
  DiskModel disk{DiskSpeed()};
  EXPECT_EQ(disk.done_ns(7, 0, 1 << 30), 7u);
  EXPECT_EQ(disk.done_ns(7, 4096, 4096), 7u);
}

TEST(DiskModelTest, seeksUnlessARequestBeginsWhereTheLastOneEnded) {
  DiskModel disk{*DiskSpeed::parse("hdd")};
  EXPECT_EQ(disk.done_ns(0, 0, 12 * kMb), 108 * kMs);
  EXPECT_EQ(disk.done_ns(200 * kMs, 12 * kMb, 12 * kMb), 300 * kMs);
  EXPECT_EQ(disk.done_ns(400 * kMs, 12 * kMb, 12 * kMb), 508 * kMs);
}

TEST(DiskModelTest, servesOneRequestAtATime) {
  DiskModel disk{*DiskSpeed::parse("hdd")};
  EXPECT_EQ(disk.done_ns(0, 12 * kMb, 0), 8 * kMs);
  EXPECT_EQ(disk.done_ns(1, 48 * kMb, 0), 16 * kMs);
  EXPECT_EQ(disk.done_ns(2, 48 * kMb, 0), 16 * kMs);
  EXPECT_EQ(disk.done_ns(3, 0, 0), 24 * kMs);
}

TEST(DiskModelTest, overlapsLatenciesAndSharesBandwidth) {
  DiskModel disk{*DiskSpeed::parse("ssd")};
  EXPECT_EQ(disk.done_ns(0, 0, 0), 120'000u);
  EXPECT_EQ(disk.done_ns(10, 1 << 20, 0), 120'010u);
  EXPECT_EQ(disk.done_ns(20, 0, 5 * kMb), 10 * kMs + 120'020);
  EXPECT_EQ(disk.done_ns(20, 0, 5 * kMb), 20 * kMs + 120'020);
  DiskModel other{*DiskSpeed::parse("latency=2ms,bandwidth=1M")};
  EXPECT_EQ(other.done_ns(0, 0, 1 << 20), 1002 * kMs);
  // No product of a size and a second overflows.
  EXPECT_EQ(other.done_ns(0, 0, std::uint64_t{1} << 50), 1000 * kMs + (1000 * kMs << 30) + 2 * kMs);
}

}  // namespace
}  // namespace fallow
