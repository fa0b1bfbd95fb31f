#include "pager/page_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/temp_dir.h"
#include "base/units.h"

namespace fallow::pager {
namespace {

const ManualClock kClock;

// Pages next to each other, and what preadv() and pwritev() are told of them.
struct Buffers {
  explicit Buffers(std::size_t count)
      : memory(static_cast<std::byte*>(std::aligned_alloc(kPageSize, count * kPageSize)),
               &std::free) {
    for (std::size_t i = 0; i < count; ++i) {
      vectors.push_back({memory.get() + i * kPageSize, kPageSize});
    }
  }
  void fill(std::size_t page, int value) const {
    std::memset(vectors[page].iov_base, value, kPageSize);
  }
  [[nodiscard]] std::byte last(std::size_t page) const {
    return memory.get()[(page + 1) * kPageSize - 1];
  }
  std::unique_ptr<std::byte, decltype(&std::free)> memory;
  std::vector<iovec> vectors;
};

TEST(PageFileTest, givesBackWhatWasWritten) {
  const TempDir dir("/var/tmp");
  for (const std::string& path : {dir.path() + "/file", std::string()}) {
    auto file = PageFile::open({.path = path}, kClock);
    ASSERT_TRUE(file.ok()) << file.error().text;
    const Buffers page(1);
    page.fill(0, 7);
    EXPECT_EQ((*file)->write(3, page.vectors).error, 0);
    page.fill(0, 0);
    const auto read = (*file)->read(3, page.vectors);
    EXPECT_EQ(read.error, 0);
    EXPECT_EQ(read.pages, 1u);
    EXPECT_EQ(page.last(0), std::byte{7});
    EXPECT_EQ((*file)->read(4, page.vectors).error, -EIO);
  }
}

TEST(PageFileTest, movesARunInOneRequest) {
  auto file = PageFile::open({}, kClock);
  ASSERT_TRUE(file.ok());
  const Buffers run(PageFile::kRunMost);
  for (std::size_t i = 0; i < run.vectors.size(); ++i) {
    run.fill(i, static_cast<int>(i));
  }
  EXPECT_EQ((*file)->write(5, run.vectors).pages, run.vectors.size());
  EXPECT_EQ((*file)->requests(), 1u);
  // Each page goes where its own vector says.
  std::vector<iovec> turned(run.vectors.rbegin(), run.vectors.rend());
  EXPECT_EQ((*file)->read(5, turned).error, 0);
  EXPECT_EQ((*file)->requests(), 2u);
  for (std::size_t i = 0; i < run.vectors.size(); ++i) {
    ASSERT_EQ(run.last(i), static_cast<std::byte>(run.vectors.size() - 1 - i));
  }
}

TEST(PageFileTest, saysHowFarItCame) {
  auto file = PageFile::open({.bytes_max = 8 * kPageSize}, kClock);
  ASSERT_TRUE(file.ok());
  const Buffers run(4);
  for (std::size_t i = 0; i < 4; ++i) {
    run.fill(i, 9);
  }
  const auto written = (*file)->write(6, run.vectors);
  EXPECT_EQ(written.pages, 2u);
  EXPECT_EQ(written.error, -ENOSPC);
  EXPECT_EQ((*file)->write(8, run.vectors).pages, 0u);
  const auto read = (*file)->read(6, run.vectors);
  EXPECT_EQ(read.pages, 2u);
  EXPECT_EQ(read.error, -EIO);
}

TEST(PageFileTest, isZerosWhereItWasPunched) {
  auto file = PageFile::open({}, kClock);
  ASSERT_TRUE(file.ok());
  const Buffers run(3);
  for (std::size_t i = 0; i < 3; ++i) {
    run.fill(i, 9);
  }
  ASSERT_EQ((*file)->write(1, run.vectors).error, 0);
  (*file)->punch(1, 2);
  ASSERT_EQ((*file)->read(1, run.vectors).error, 0);
  EXPECT_EQ(run.last(0), std::byte{0});
  EXPECT_EQ(run.last(1), std::byte{0});
  EXPECT_EQ(run.last(2), std::byte{9});
}

TEST(PageFileTest, takesAsLongAsTheDiskThatItStandsFor) {
  const ManualClock clock;
  auto file = PageFile::open({.speed = *DiskSpeed::parse("hdd")}, clock);
  ASSERT_TRUE(file.ok());
  const Buffers run(30);
  const Buffers page(1);
  page.fill(0, 3);
  ASSERT_EQ((*file)->write(1, run.vectors).error, 0);
  EXPECT_EQ(clock.now_ns(), 9'024'000u);  // 8 ms, and 120 KiB
  ASSERT_EQ((*file)->write(31, page.vectors).error, 0);
  EXPECT_EQ(clock.now_ns(), 9'058'133u);  // where the one before it ended
  page.fill(0, 0);
  ASSERT_EQ((*file)->read(31, page.vectors).error, 0);
  EXPECT_EQ(clock.now_ns(), 17'092'266u);
  EXPECT_EQ(page.last(0), std::byte{3});
  EXPECT_EQ((*file)->read(50, page.vectors).error, -EIO);  // what fails costs nothing
  EXPECT_EQ(clock.now_ns(), 17'092'266u);
}

TEST(PageFileTest, saysWhatIsWrongWithAFile) {
  const TempDir dir("/var/tmp");
  EXPECT_TRUE(PageFile::open({.path = dir.path()}, kClock));  // one without a name in it
  EXPECT_NE(
      PageFile::open({.path = dir.path() + "/no/file"}, kClock).error().text.find("cannot open"),
      std::string::npos);
  EXPECT_NE(PageFile::open({.path = "/dev/null"}, kClock).error().text.find("not a regular file"),
            std::string::npos);
  const std::string path = dir.path() + "/file";
  const auto first = PageFile::open({.path = path}, kClock);
  ASSERT_TRUE(first.ok());
  const auto second = PageFile::open({.path = path}, kClock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kInvalid);
  EXPECT_NE(second.error().text.find("in use by another pager"), std::string::npos);
}

}  // namespace
}  // namespace fallow::pager
