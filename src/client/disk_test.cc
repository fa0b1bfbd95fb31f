// Disk functions against a daemon whose disk is a vector.

#include <cerrno>
#include <random>
#include <vector>

#include "client/fake_daemon.h"
#include "client/test_client.h"

namespace fallow::client {
namespace {

constexpr std::size_t kDiskBytes = 24u << 20;

class Disk : public testing::Test {
 protected:
  Disk() { state_.disk.resize(kDiskBytes); }

  TestPlace place_;
  FakeDaemon::State state_;
  FakeDaemon daemon_{place_.socket(), state_};
};

std::vector<std::byte> random_bytes(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random() | 1);
  }
  return bytes;
}

TEST_F(Disk, Connect_tellsTheShape) {
  const OwnedClient client = place_.connect(1000, "vm1");
  EXPECT_EQ(fallow_disk_size(client.get()), kDiskBytes);
  EXPECT_EQ(fallow_disk_block_size(client.get()), 512u);
}

TEST_F(Disk, ReadWrite_anyLength_ordinaryAndRegisteredMemory) {
  const OwnedClient client = place_.connect(1000, "vm1");
  for (const unsigned depth : {1u, 32u}) {
    fallow_queue* queue = open_queue(client, depth);
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{512}, std::size_t{4096}, std::size_t{65536},
          std::size_t{1u << 20}, std::size_t{(1u << 20) + 512}, std::size_t{(9u << 20) - 512}}) {
      const std::vector<std::byte> data = random_bytes(length);
      std::vector<std::byte> back(length);
      EXPECT_EQ(fallow_disk_write(queue, data.data(), length, 1536), 0) << fallow_error();
      EXPECT_EQ(fallow_disk_read(queue, back.data(), length, 1536), 0) << fallow_error();
      EXPECT_EQ(back, data);
      auto* registered = static_cast<std::byte*>(fallow_alloc(client.get(), length + 512));
      EXPECT_EQ(fallow_disk_read(queue, registered + 512, length, 1536), 0);
      EXPECT_EQ(std::vector<std::byte>(registered + 512, registered + 512 + length), data);
      EXPECT_EQ(fallow_disk_write(queue, registered + 512, length, 12u << 20), 0);
      EXPECT_EQ(fallow_disk_read(queue, back.data(), length, 12u << 20), 0);
      EXPECT_EQ(back, data);
      fallow_free(client.get(), registered);
    }
    EXPECT_EQ(fallow_disk_sync(queue), 0);
  }
}

TEST_F(Disk, DiscardZeroesExtent) {
  const OwnedClient client = place_.connect(1000, "vm1");
  fallow_queue* queue = open_queue(client);
  const std::vector<std::byte> data = random_bytes(64u << 10);
  EXPECT_EQ(fallow_disk_write(queue, data.data(), data.size(), 1u << 20), 0);
  std::uint64_t extent = 0;
  EXPECT_EQ(fallow_disk_extent(queue, 4u << 20, 0, &extent), 1);
  EXPECT_EQ(extent, 1u << 20);
  EXPECT_EQ(fallow_disk_extent(queue, 4u << 20, 1u << 20, &extent), 0);
  EXPECT_EQ(extent, 64u << 10);
  // From the middle of a page, and no further than was asked for.
  EXPECT_EQ(fallow_disk_extent(queue, 4u << 20, (1u << 20) + 512, &extent), 0);
  EXPECT_EQ(extent, (64u << 10) - 512);
  EXPECT_EQ(fallow_disk_extent(queue, 1024, 1u << 20, &extent), 0);
  EXPECT_EQ(extent, 1024u);
  EXPECT_EQ(fallow_disk_discard(queue, 32u << 10, 1u << 20), 0);
  EXPECT_EQ(fallow_disk_write_zeroes(queue, 32u << 10, (1u << 20) + (32u << 10)), 0);
  EXPECT_EQ(fallow_disk_extent(queue, kDiskBytes, 0, &extent), 1);
  EXPECT_EQ(extent, kDiskBytes);
  EXPECT_EQ(fallow_disk_extent(queue, 0, 0, &extent), -EINVAL);
}

TEST_F(Disk, WrongUse_isInvalid) {
  const OwnedClient client = place_.connect(1000, "vm1");
  fallow_queue* queue = open_queue(client);
  std::vector<std::byte> data(8192);
  EXPECT_EQ(fallow_disk_read(queue, data.data(), 4096, 511), -EINVAL);
  EXPECT_EQ(fallow_disk_read(queue, data.data(), 4097, 0), -EINVAL);
  EXPECT_EQ(fallow_disk_read(queue, data.data(), 4096, kDiskBytes), -EINVAL);
  EXPECT_EQ(fallow_disk_write(queue, data.data(), 8192, kDiskBytes - 4096), -EINVAL);
  EXPECT_EQ(fallow_disk_write(queue, data.data(), 512, UINT64_MAX - 511), -EINVAL);
  EXPECT_EQ(fallow_disk_write(queue, nullptr, 512, 0), -EINVAL);
  EXPECT_EQ(fallow_disk_discard(queue, kDiskBytes + 512, 0), -EINVAL);
  fallow_pool pool = 0;
  EXPECT_EQ(fallow_pool_open(queue, FALLOW_PERSISTENT, 1, &pool), -EINVAL);
  EXPECT_EQ(fallow_put(queue, 0, 0, 0, data.data()), -EINVAL);
}

TEST_F(Disk, DaemonComesBackWithTheDisk_workGoesOn) {
  const OwnedClient client = place_.connect(20'000, "vm1");
  fallow_queue* queue = open_queue(client);
  const std::vector<std::byte> data = random_bytes(3u << 20);
  ASSERT_EQ(fallow_disk_write(queue, data.data(), data.size(), 0), 0);
  daemon_.~FakeDaemon();
  new (&daemon_) FakeDaemon(place_.socket(), state_);
  std::vector<std::byte> back(data.size());
  EXPECT_EQ(fallow_disk_read(queue, back.data(), back.size(), 0), 0) << fallow_error();
  EXPECT_EQ(back, data);

  // The next one has a larger disk.
  daemon_.~FakeDaemon();
  state_.disk.resize(kDiskBytes + (1u << 20));
  new (&daemon_) FakeDaemon(place_.socket(), state_);
  EXPECT_EQ(fallow_disk_sync(queue), 0) << fallow_error();
  EXPECT_EQ(fallow_disk_size(client.get()), kDiskBytes + (1u << 20));
  EXPECT_EQ(fallow_disk_read(queue, back.data(), 512, kDiskBytes), 0) << fallow_error();
}

TEST_F(Disk, DaemonComesBackWithoutTheDisk_nothingIsReadAnyMore) {
  const OwnedClient client = place_.connect(20'000, "vm1");
  fallow_queue* queue = open_queue(client);
  std::vector<std::byte> data = random_bytes(3u << 20);
  ASSERT_EQ(fallow_disk_write(queue, data.data(), data.size(), 0), 0);
  daemon_.~FakeDaemon();
  FakeDaemon::Settings settings;
  settings.resumed = false;
  new (&daemon_) FakeDaemon(place_.socket(), state_, settings);
  EXPECT_EQ(fallow_disk_read(queue, data.data(), data.size(), 0), -ESTALE);
  EXPECT_EQ(fallow_disk_write(queue, data.data(), data.size(), 0), -ESTALE);
  EXPECT_EQ(fallow_disk_sync(queue), -ESTALE);
}

}  // namespace
}  // namespace fallow::client
