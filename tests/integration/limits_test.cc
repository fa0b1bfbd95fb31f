// What runs out is told, and nobody who is served loses anything: file descriptors, huge pages, the
// arena's file system.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/units.h"
#include "frontend/vhost_user/test_front_end.h"
#include "integration/mounted.h"
#include "integration/program.h"
#include "memory/arena.h"

namespace fallow::test {
namespace {

using testing::HasSubstr;
using vhost_user::TestFrontEnd;

TEST(Limits, fileDescriptorsRunOut_vmsThatAreThereGoOn) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const rlimit few{120, 130};
  ASSERT_EQ(::prlimit(daemon.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  ASSERT_EQ(daemon.fallow({"vm", "add", "first", "--size", "8M"}).exit_code, 0);
  auto front = TestFrontEnd::connect(daemon.disk_socket("first"), {});
  ASSERT_TRUE(front.ok()) << front.error().text;
  std::array<std::byte, kPageSize> page{};
  page.fill(std::byte{7});
  page[0] = std::byte{1};
  ASSERT_EQ((*front)->write(0, page), VIRTIO_BLK_S_OK);
  // One more descriptor each round, so that each step of adding a VM is once the one that gets
  // none.
  int names = 0;
  for (rlim_t limit = 120; limit < 130; ++limit) {
    const rlimit more{limit, 130};
    ASSERT_EQ(::prlimit(daemon.pid(), RLIMIT_NOFILE, &more, nullptr), 0);
    Outcome refused;
    for (int i = 0; i < 100 && refused.exit_code <= 0; ++i) {
      refused = daemon.fallow({"vm", "add", "more" + std::to_string(++names), "--size", "8M"});
    }
    EXPECT_EQ(refused.exit_code, 1) << refused.err << daemon.log();
    EXPECT_THAT(refused.err, HasSubstr("Too many open files"));
  }
  std::array<std::byte, kPageSize> back{};
  ASSERT_EQ((*front)->read(0, back), VIRTIO_BLK_S_OK);
  EXPECT_EQ(back, page);
}

TEST(Limits, arenaFileSystemTooSmall_isToldAndLeavesNothing) {
  const Mounted tmpfs("tmpfs", "size=8m");
  if (!tmpfs.good()) {
    GTEST_SKIP() << "mounting a tmpfs needs root";
  }
  const auto arena = memory::Arena::open({.directory = tmpfs.path(), .bytes = 16 << 20});
  ASSERT_FALSE(arena.ok());
  EXPECT_THAT(arena.error().text, HasSubstr("not enough memory"));
  EXPECT_TRUE(memory::Arena::open({.directory = tmpfs.path(), .bytes = 4 << 20}).ok());
}

TEST(Limits, hugePagesRunOut_isToldAndLeavesNothing) {
  const Mounted huge("hugetlbfs", "pagesize=2M,size=4M");
  if (!huge.good()) {
    GTEST_SKIP() << "mounting a hugetlbfs needs root and huge pages in the kernel";
  }
  const auto arena = memory::Arena::open({.directory = huge.path(), .bytes = 8 << 20});
  ASSERT_FALSE(arena.ok());
  EXPECT_THAT(arena.error().text, HasSubstr("not enough memory"));
  for (const auto& entry : std::filesystem::directory_iterator(huge.path())) {
    EXPECT_EQ(entry.path().extension(), ".lock");
  }
}

}  // namespace
}  // namespace fallow::test
