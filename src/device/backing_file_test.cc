#include "device/backing_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/temp_dir.h"
#include "base/units.h"

namespace fallow {
namespace {

constexpr std::uint64_t kSize = 64 * kPageSize;

class BackingFileTest : public testing::Test {
 protected:
  [[nodiscard]] BackingOptions use(
      BackingOptions::Content content = BackingOptions::Content::kKeep) {
    return {.path = path_,
            .size_bytes = kSize,
            .origin = BackingOptions::Origin::kUse,
            .content = content};
  }
  [[nodiscard]] BackingOptions create() { return {.path = path_, .size_bytes = kSize}; }

  struct Io : BackingIo {
    bool finished = false;
    int error = 0;
  };
  static int run(BackingFile& file, BackingIo::Kind kind, std::uint64_t offset, std::byte* buffer,
                 std::uint64_t length) {
    Io io;
    io.kind = kind;
    io.offset = offset;
    io.length = length;
    io.buffer = buffer;
    io.done = [](BackingIo* done, int error) {
      static_cast<Io*>(done)->finished = true;
      static_cast<Io*>(done)->error = error;
    };
    file.submit(&io);
    while (!io.finished) {
      file.wait();
    }
    return io.error;
  }
  void expect_refused(const BackingOptions& options, const std::string& saying) {
    const auto file = BackingFile::open(options);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, ErrorCode::kInvalid);
    EXPECT_NE(file.error().text.find(saying), std::string::npos) << file.error().text;
  }

  TempDir dir_;
  std::string path_ = dir_.path() + "/backing";
};

TEST_F(BackingFileTest, created_isSparseAndKeepsWhatIsWritten) {
  const auto file = BackingFile::open(create());
  ASSERT_TRUE(file.ok()) << file.error().text;
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), kSize);
  EXPECT_EQ(info.st_blocks, 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  alignas(kPageSize) std::byte out[2 * kPageSize];
  alignas(kPageSize) std::byte in[2 * kPageSize];
  std::memset(out, 0x5a, sizeof out);
  EXPECT_EQ(run(**file, BackingIo::Kind::kWrite, kPageSize, out, sizeof out), 0);
  EXPECT_EQ(run(**file, BackingIo::Kind::kSync, 0, nullptr, 0), 0);
  EXPECT_EQ(run(**file, BackingIo::Kind::kRead, kPageSize, in, sizeof in), 0);
  EXPECT_EQ(std::memcmp(in, out, sizeof in), 0);
  EXPECT_EQ(run(**file, BackingIo::Kind::kPunch, kPageSize, nullptr, sizeof out), 0);
  EXPECT_EQ(run(**file, BackingIo::Kind::kRead, kPageSize, in, sizeof in), 0);
  std::memset(out, 0, sizeof out);
  EXPECT_EQ(std::memcmp(in, out, sizeof in), 0);
}

TEST_F(BackingFileTest, missing_isRefused) {
  expect_refused(use(), "does not exist");
}

TEST_F(BackingFileTest, tooSmall_isRefusedAndUnchanged) {
  std::ofstream(path_) << "x";
  expect_refused(use(BackingOptions::Content::kDiscard), "make it larger");
  EXPECT_EQ(std::filesystem::file_size(path_), 1u);
}

TEST_F(BackingFileTest, withContent_isRefusedUnlessItMayGo) {
  std::ofstream(path_) << std::string(kSize, 'x');
  expect_refused(use(), "--discard-backing");
  std::ifstream check(path_);
  EXPECT_EQ(check.get(), 'x');
  EXPECT_TRUE(BackingFile::open(use(BackingOptions::Content::kDiscard)).ok());
}

TEST_F(BackingFileTest, emptySparseFile_isTaken) {
  std::ofstream(path_) << "";
  std::filesystem::resize_file(path_, kSize + kPageSize);
  EXPECT_TRUE(BackingFile::open(use()).ok());
}

TEST_F(BackingFileTest, inUse_isRefusedByAnyName) {
  const auto first = BackingFile::open(create());
  ASSERT_TRUE(first.ok());
  expect_refused(use(), "in use");
  const std::string other = dir_.path() + "/link";
  std::filesystem::create_hard_link(path_, other);
  path_ = other;
  expect_refused(use(), "in use");
}

TEST_F(BackingFileTest, directory_isRefused) {
  std::filesystem::create_directory(path_);
  EXPECT_FALSE(BackingFile::open(use()).ok());
  EXPECT_FALSE(BackingFile::open(create()).ok());
}

TEST_F(BackingFileTest, readPastTheEnd_isAnErrorNotZeros) {
  const auto file = BackingFile::open(create());
  ASSERT_TRUE(file.ok());
  alignas(kPageSize) std::byte page[kPageSize]{};
  EXPECT_EQ(run(**file, BackingIo::Kind::kRead, kSize, page, kPageSize), EIO);
}

}  // namespace
}  // namespace fallow
