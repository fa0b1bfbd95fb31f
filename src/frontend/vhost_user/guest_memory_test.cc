#include "frontend/vhost_user/guest_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace fallow::vhost_user {
namespace {

constexpr std::size_t kSize = 16 * 4096;
constexpr std::uint64_t kGuest = 0x100000;
constexpr std::uint64_t kUser = 0x7f0000000000;

class GuestMemoryTest : public testing::Test {
 protected:
  GuestMemoryTest() : file_(::memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    EXPECT_EQ(::ftruncate(file_.get(), kSize), 0);
  }
  Result<GuestMemory> map(std::span<const Region> regions) {
    std::vector<UniqueFd> fds;
    for (std::size_t i = 0; i < regions.size(); ++i) {
      fds.emplace_back(::dup(file_.get()));
    }
    return GuestMemory::map(regions, fds);
  }
  // Two adjacent regions, the second one first in the file.
  GuestMemory map_two() {
    const Region regions[] = {{kGuest, kSize / 2, kUser, kSize / 2},
                              {kGuest + kSize / 2, kSize / 2, kUser + kSize, 0}};
    auto memory = map(regions);
    EXPECT_TRUE(memory.ok());
    return std::move(*memory);
  }

  UniqueFd file_;
};

TEST_F(GuestMemoryTest, guestRun_endsWithItsRegion) {
  const GuestMemory memory = map_two();
  EXPECT_EQ(memory.guest_run(kGuest, 100).size(), 100u);
  EXPECT_EQ(memory.guest_run(kGuest + kSize / 2 - 10, 100).size(), 10u);
  EXPECT_EQ(memory.guest_run(kGuest + kSize - 1, UINT64_MAX).size(), 1u);
  EXPECT_TRUE(memory.guest_run(kGuest - 1, 100).empty());
  EXPECT_TRUE(memory.guest_run(kGuest + kSize, 100).empty());
  EXPECT_TRUE(memory.guest_run(UINT64_MAX, 100).empty());
}

TEST_F(GuestMemoryTest, readGuest_crossesRegions) {
  const GuestMemory memory = map_two();
  ASSERT_EQ(::pwrite(file_.get(), "ab", 2, kSize - 2), 2);  // the end of the first region
  ASSERT_EQ(::pwrite(file_.get(), "cd", 2, 0), 2);          // the start of the second
  char text[4];
  ASSERT_TRUE(memory.read_guest(kGuest + kSize / 2 - 2, text, 4));
  EXPECT_EQ(std::string(text, 4), "abcd");
  EXPECT_FALSE(memory.read_guest(kGuest + kSize - 2, text, 4));
}

TEST_F(GuestMemoryTest, atUser_wantsTheWholeRangeInOneRegion) {
  const GuestMemory memory = map_two();
  EXPECT_NE(memory.at_user(kUser, kSize / 2), nullptr);
  EXPECT_EQ(memory.at_user(kUser, kSize / 2 + 1), nullptr);
  EXPECT_EQ(memory.at_user(kUser + 1, UINT64_MAX), nullptr);
  EXPECT_EQ(memory.at_user(kUser - 1, 2), nullptr);
}

TEST_F(GuestMemoryTest, map_ordinaryFile_isRefused) {
  const Region region{kGuest, 4096, kUser, 0};
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(GuestMemory::map({&region, 1}, fds).ok());
}

TEST_F(GuestMemoryTest, map_sealedAgainstWriting_isRefused) {
  ASSERT_EQ(::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  const Region region{kGuest, 4096, kUser, 0};
  EXPECT_FALSE(map({&region, 1}).ok());
}

TEST_F(GuestMemoryTest, truncatedFile_readsZerosAndIsBroken) {
  const GuestMemory memory = map_two();
  ASSERT_EQ(::pwrite(file_.get(), "x", 1, kSize - 1), 1);
  char byte = 0;
  ASSERT_TRUE(memory.read_guest(kGuest + kSize / 2 - 1, &byte, 1));
  EXPECT_EQ(byte, 'x');
  EXPECT_FALSE(memory.broken());
  ASSERT_EQ(::ftruncate(file_.get(), 0), 0);
  ASSERT_TRUE(memory.read_guest(kGuest + kSize / 2 - 1, &byte, 1));
  EXPECT_EQ(byte, 0);
  EXPECT_TRUE(memory.broken());
  memory.guest_run(kGuest, 1)[0] = std::byte{1};  // writing is survived as well
}

TEST_F(GuestMemoryTest, truncatedFile_doesNotBreakItsNeighbours) {
  const GuestMemory memory = map_two();
  UniqueFd own = std::exchange(file_, UniqueFd(::memfd_create("neighbour", MFD_CLOEXEC)));
  ASSERT_EQ(::ftruncate(file_.get(), kSize), 0);
  const GuestMemory neighbour = map_two();
  ASSERT_EQ(::ftruncate(own.get(), 0), 0);
  char byte = 0;
  EXPECT_TRUE(memory.read_guest(kGuest, &byte, 1));
  EXPECT_TRUE(neighbour.read_guest(kGuest, &byte, 1));
  EXPECT_TRUE(memory.broken());
  EXPECT_FALSE(neighbour.broken());
}

}  // namespace
}  // namespace fallow::vhost_user
