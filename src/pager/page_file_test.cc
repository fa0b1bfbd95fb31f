#include "pager/page_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/temp_dir.h"
#include "base/units.h"

namespace fallow::pager {
namespace {

struct Aligned {
  std::unique_ptr<std::byte, decltype(&std::free)> memory{
      static_cast<std::byte*>(std::aligned_alloc(kPageSize, kPageSize)), &std::free};
  [[nodiscard]] std::byte* get() const { return memory.get(); }
};

TEST(PageFileTest, givesBackWhatWasWritten) {
  const TempDir dir("/var/tmp");
  for (const std::string& path : {dir.path() + "/file", std::string()}) {
    auto file = PageFile::open(path, 0, false);
    ASSERT_TRUE(file.ok()) << file.error().text;
    const Aligned page;
    std::memset(page.get(), 7, kPageSize);
    EXPECT_EQ(file->write(3, page.get()), 0);
    std::memset(page.get(), 0, kPageSize);
    EXPECT_EQ(file->read(3, page.get()), 0);
    EXPECT_EQ(page.get()[4095], std::byte{7});
    EXPECT_EQ(file->read(4, page.get()), -EIO);
  }
}

TEST(PageFileTest, isFullWhereItWasToldTo) {
  auto file = PageFile::open("", 4 * kPageSize, false);
  ASSERT_TRUE(file.ok());
  const Aligned page;
  std::memset(page.get(), 1, kPageSize);
  EXPECT_EQ(file->write(3, page.get()), 0);
  EXPECT_EQ(file->write(4, page.get()), -ENOSPC);
}

TEST(PageFileTest, saysWhatIsWrongWithAFile) {
  const TempDir dir("/var/tmp");
  EXPECT_TRUE(PageFile::open(dir.path(), 0, false));  // one without a name in it
  EXPECT_NE(PageFile::open(dir.path() + "/no/file", 0, false).error().text.find("cannot open"),
            std::string::npos);
  EXPECT_NE(PageFile::open("/dev/null", 0, false).error().text.find("not a regular file"),
            std::string::npos);
  const std::string path = dir.path() + "/file";
  const auto first = PageFile::open(path, 0, false);
  ASSERT_TRUE(first.ok());
  const auto second = PageFile::open(path, 0, false);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kInvalid);
  EXPECT_NE(second.error().text.find("in use by another pager"), std::string::npos);
}

}  // namespace
}  // namespace fallow::pager
