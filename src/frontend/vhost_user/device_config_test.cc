#include "frontend/vhost_user/device_config.h"

#include <gtest/gtest.h>

#include "frontend/vhost_user/fake_block_device.h"

namespace fallow::vhost_user {
namespace {

constexpr auto kAtOnce = FakeBlockDevice::Completion::kAtOnce;

TEST(DeviceConfig, makeConfig_blocksOf4096_areOnePage) {
  const FakeBlockDevice device(1 << 20, kAtOnce, 4096);
  const auto config = make_config(make_shape(device, 8, "x"));
  EXPECT_EQ(config.capacity, 2048u);
  EXPECT_EQ(config.blk_size, 4096u);
  EXPECT_EQ(config.physical_block_exp, 0);
  EXPECT_EQ(config.min_io_size, 1u);
  EXPECT_EQ(config.num_queues, 8u);
}

TEST(DeviceConfig, makeConfig_blocksOf512_areEightToThePage) {
  const FakeBlockDevice device(1 << 20, kAtOnce, 512);
  const auto config = make_config(make_shape(device, 8, "x"));
  EXPECT_EQ(config.blk_size, 512u);
  EXPECT_EQ(config.physical_block_exp, 3);
  EXPECT_EQ(config.min_io_size, 8u);
}

TEST(DeviceConfig, features_offerNothingThatIsNotThere) {
  const std::uint64_t absent = bit(VIRTIO_BLK_F_RO) | bit(VIRTIO_BLK_F_GEOMETRY) |
                               bit(VIRTIO_BLK_F_CONFIG_WCE) | bit(VIRTIO_BLK_F_SECURE_ERASE) |
                               bit(34 /* packed rings */) | bit(40 /* ring reset */);
  DeviceShape shape;
  EXPECT_EQ(offered_features(shape) & (absent | bit(kFeatureLogAll)), 0u);
  EXPECT_EQ(offered_protocol_features(shape) & bit(kProtocolFeatureLogShmfd), 0u);
  shape.migratable = true;
  EXPECT_EQ(offered_features(shape) & absent, 0u);
}

}  // namespace
}  // namespace fallow::vhost_user
