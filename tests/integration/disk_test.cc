// A disk of a running daemon, driven by a native front end: what a VM's driver would see when the
// host runs out of disk, when the daemon ends, and what it all costs in memory.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/units.h"
#include "frontend/vhost_user/test_front_end.h"
#include "integration/mounted.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using vhost_user::TestFrontEnd;

std::vector<std::byte> page_of(std::uint64_t seed) {
  std::vector<std::byte> page(kPageSize);
  std::mt19937_64 random(seed);
  for (std::size_t at = 0; at < kPageSize; at += 8) {
    const std::uint64_t word = random();
    std::memcpy(page.data() + at, &word, 8);
  }
  return page;
}

std::unique_ptr<TestFrontEnd> connect(const Daemon& daemon, const std::string& vm) {
  auto front = TestFrontEnd::connect(daemon.disk_socket(vm), {});
  EXPECT_TRUE(front.ok()) << front.error().text;
  return front.ok() ? std::move(*front) : nullptr;
}

void add(Daemon& daemon, const std::string& vm, const std::string& size) {
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const Outcome added = daemon.fallow({"vm", "add", vm, "--size", size});
  ASSERT_EQ(added.exit_code, 0) << added.err;
}

TEST(Disk, twoVms_neverSeeEachOthersPages) {
  Daemon::Options options;
  options.memory = "1M";  // most pages go to the backing files
  Daemon daemon(options);
  ASSERT_NO_FATAL_FAILURE(add(daemon, "a", "8M"));
  ASSERT_NO_FATAL_FAILURE(add(daemon, "b", "8M"));
  const auto a = connect(daemon, "a");
  const auto b = connect(daemon, "b");
  constexpr std::uint64_t kPages = 2048;
  for (std::uint64_t i = 0; i < kPages; ++i) {
    ASSERT_EQ(a->write(i * kPageSize, page_of(i)), VIRTIO_BLK_S_OK);
    ASSERT_EQ(b->write(i * kPageSize, page_of(i + kPages)), VIRTIO_BLK_S_OK);
  }
  std::vector<std::byte> page(kPageSize);
  for (std::uint64_t i = 0; i < kPages; ++i) {
    ASSERT_EQ(a->read(i * kPageSize, page), VIRTIO_BLK_S_OK);
    ASSERT_EQ(page, page_of(i));
    ASSERT_EQ(b->read(i * kPageSize, page), VIRTIO_BLK_S_OK);
    ASSERT_EQ(page, page_of(i + kPages));
  }
}

TEST(Disk, fullBackingFileSystem_isAnErrorNeverWrongData) {
  const Mounted small("tmpfs", "size=2M");  // smaller than the disk
  if (!small.good()) {
    GTEST_SKIP() << "mounting a tmpfs needs root";
  }
  Daemon::Options options;
  options.memory = "1M";
  options.backing_dir = small.path();
  Daemon daemon(options);
  ASSERT_NO_FATAL_FAILURE(add(daemon, "a", "16M"));
  const auto front = connect(daemon, "a");
  std::map<std::uint64_t, bool> written;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const auto status = front->write(i * kPageSize, page_of(i));
    ASSERT_TRUE(status == VIRTIO_BLK_S_OK || status == VIRTIO_BLK_S_IOERR);
    written[i] = status == VIRTIO_BLK_S_OK;
  }
  std::uint64_t refused = 0;
  std::vector<std::byte> page(kPageSize);
  for (const auto& [i, good] : written) {
    const auto status = front->read(i * kPageSize, page);
    if (good) {
      ASSERT_EQ(status, VIRTIO_BLK_S_OK);
      ASSERT_EQ(page, page_of(i));
    } else {
      ASSERT_EQ(status, VIRTIO_BLK_S_IOERR);
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000u);
  // Discarding heals: the pages are holes again, and there is room.
  ASSERT_EQ(front->discard(0, 16 << 20), VIRTIO_BLK_S_OK);
  ASSERT_EQ(front->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  ASSERT_EQ(front->read(kPageSize, page), VIRTIO_BLK_S_OK);
  EXPECT_EQ(page, std::vector<std::byte>(kPageSize));
}

TEST(Disk, removalWithAFrontEnd_needsForce) {
  Daemon daemon;
  ASSERT_NO_FATAL_FAILURE(add(daemon, "a", "8M"));
  const auto front = connect(daemon, "a");
  EXPECT_EQ(daemon.fallow({"vm", "remove", "a"}).exit_code, 1);
  ASSERT_EQ(front->write(0, page_of(1)), VIRTIO_BLK_S_OK);
  EXPECT_EQ(daemon.fallow({"vm", "remove", "a", "--force"}).exit_code, 0);
  EXPECT_TRUE(front->wait_for_hang_up());
}

TEST(Disk, daemonEndedUnderLoad_endsCleanly) {
  Daemon daemon;
  ASSERT_NO_FATAL_FAILURE(add(daemon, "a", "8M"));
  const auto front = connect(daemon, "a");
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_EQ(front->write(i * kPageSize, page_of(i)), VIRTIO_BLK_S_OK);
  }
  EXPECT_EQ(daemon.end(SIGTERM), 0) << daemon.log();
  EXPECT_TRUE(front->wait_for_hang_up());
}

std::uint64_t memory_of(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string word;
  while (file >> word) {
    if (word == field) {
      std::uint64_t kib = 0;
      file >> kib;
      return kib << 10;
    }
  }
  return 0;
}

// What the daemon's anonymous memory and the frame table grow by, from a small node to a large one.
TEST(Disk, memoryBeyondFrames_isUnderTwoPercentOfThem) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory would be measured; the release build's is";
#endif
  const auto beyond_frames = [](const std::string& memory) {
    Daemon::Options options;
    options.memory = memory;
    Daemon daemon(options);
    EXPECT_TRUE(daemon.wait_ready()) << daemon.log();
    std::uint64_t bytes = memory_of(daemon.pid(), "Anonymous:");
    for (const auto& entry : std::filesystem::recursive_directory_iterator("/dev/shm")) {
      if (entry.path().extension() == ".table" &&
          entry.path().string().find(daemon.arena_folder()) == 0) {
        bytes += entry.file_size();
      }
    }
    return bytes;
  };
  constexpr std::uint64_t kGrowth = (1024ull - 64) << 20;
  const std::uint64_t small = beyond_frames("64M");
  const std::uint64_t large = beyond_frames("1024M");
  EXPECT_LT(static_cast<double>(large - small), 0.02 * static_cast<double>(kGrowth));
  RecordProperty("percent", std::to_string(100.0 * static_cast<double>(large - small) /
                                           static_cast<double>(kGrowth)));
}

}  // namespace
}  // namespace fallow::test
