#include "frontend/vhost_user/device_config.h"

#include <linux/virtio_config.h>

#include <algorithm>
#include <bit>

#include "base/units.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {

DeviceShape make_shape(const BlockDevice& device, unsigned queues_max, std::string_view serial) {
  DeviceShape shape;
  shape.capacity_sectors = device.size_bytes() / kSectorSize;
  shape.logical_block_size = device.logical_block_size();
  shape.queues_max = queues_max;
  std::copy_n(serial.begin(), std::min(serial.size(), shape.serial.size()), shape.serial.begin());
  return shape;
}

std::uint64_t offered_features(const DeviceShape& shape) {
  return bit(VIRTIO_F_VERSION_1) | bit(VIRTIO_RING_F_INDIRECT_DESC) | bit(VIRTIO_RING_F_EVENT_IDX) |
         bit(VIRTIO_BLK_F_SIZE_MAX) | bit(VIRTIO_BLK_F_SEG_MAX) | bit(VIRTIO_BLK_F_BLK_SIZE) |
         bit(VIRTIO_BLK_F_TOPOLOGY) | bit(VIRTIO_BLK_F_FLUSH) | bit(VIRTIO_BLK_F_DISCARD) |
         bit(VIRTIO_BLK_F_WRITE_ZEROES) | bit(VIRTIO_BLK_F_MQ) | bit(kFeatureProtocolFeatures) |
         (shape.migratable ? bit(kFeatureLogAll) : 0);
}

std::uint64_t offered_protocol_features(const DeviceShape& shape) {
  return (shape.migratable ? bit(kProtocolFeatureLogShmfd) : 0) | bit(kProtocolFeatureMq) |
         bit(kProtocolFeatureReplyAck) | bit(kProtocolFeatureBackendReq) |
         bit(kProtocolFeatureConfig) | bit(kProtocolFeatureInflightShmfd) |
         bit(kProtocolFeatureConfigureMemSlots);
}

virtio_blk_config make_config(const DeviceShape& shape) {
  virtio_blk_config config{};
  config.capacity = shape.capacity_sectors;
  config.size_max = kSegmentBytesMax;
  config.seg_max = kSegmentsMax;
  config.blk_size = shape.logical_block_size;
  // A page is the device's natural unit, whatever block size the guest is told.
  const auto blocks_per_page = static_cast<std::uint32_t>(kPageSize / shape.logical_block_size);
  config.physical_block_exp = static_cast<std::uint8_t>(std::bit_width(blocks_per_page) - 1);
  config.min_io_size = static_cast<std::uint16_t>(blocks_per_page);
  config.num_queues = static_cast<std::uint16_t>(shape.queues_max);
  config.max_discard_sectors = kRangeSectorsMax;
  config.max_discard_seg = 1;
  config.discard_sector_alignment = kPageSize / kSectorSize;
  config.max_write_zeroes_sectors = kRangeSectorsMax;
  config.max_write_zeroes_seg = 1;
  config.write_zeroes_may_unmap = 1;
  return config;
}

}  // namespace fallow::vhost_user
