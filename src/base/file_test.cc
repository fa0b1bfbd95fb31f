#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/temp_dir.h"

namespace fallow {
namespace {

TEST(ListenUnix, takenPath_isRefusedAndStaleOneIsReplaced) {
  const TempDir dir;
  const std::string path = dir.path() + "/s";
  {
    const auto first = listen_unix(path, 1);
    ASSERT_TRUE(first.ok());
    const auto second = listen_unix(path, 1);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, ErrorCode::kExists);
  }
  EXPECT_TRUE(listen_unix(path, 1).ok());
}

TEST(ListenUnix, seqpacketSocket_isReplacedOnlyWhenStale) {
  const TempDir dir;
  const std::string path = dir.path() + "/s";
  {
    const auto first = listen_unix(path, 1, UnixSocket::kSeqpacket);
    ASSERT_TRUE(first.ok()) << first.error().text;
    EXPECT_FALSE(listen_unix(path, 1, UnixSocket::kSeqpacket).ok());
    EXPECT_FALSE(listen_unix(path, 1).ok());
  }
  EXPECT_TRUE(listen_unix(path, 1, UnixSocket::kSeqpacket).ok());
}

TEST(ListenUnix, onlyTheOwnerMayConnect) {
  const TempDir dir;
  const std::string path = dir.path() + "/s";
  const auto fd = listen_unix(path, 1);
  ASSERT_TRUE(fd.ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ListenUnix, ordinaryFile_isLeftAlone) {
  const TempDir dir;
  const std::string path = dir.path() + "/s";
  std::ofstream(path) << "precious";
  EXPECT_FALSE(listen_unix(path, 1).ok());
  EXPECT_EQ(*read_text_file(path, 100), "precious");
}

TEST(ListenUnix, overlongPath_isRefused) {
  const auto fd = listen_unix("/tmp/" + std::string(200, 'x'), 1);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.error().code, ErrorCode::kInvalid);
}

TEST(ReadTextFile, tooLarge_isRefused) {
  const TempDir dir;
  std::ofstream(dir.path() + "/f") << std::string(10'000, 'x');
  EXPECT_FALSE(read_text_file(dir.path() + "/f", 9'999).ok());
  EXPECT_EQ(read_text_file(dir.path() + "/f", 10'000)->size(), 10'000u);
  EXPECT_FALSE(read_text_file(dir.path() + "/missing", 10).ok());
}

}  // namespace
}  // namespace fallow
