// What an export tells its guest: feature bits, limits and the virtio-blk configuration space.
//
// QEMU acknowledges every bit that is offered, so a bit stands here only when the code behind it
// exists. Pure functions.
#pragma once

#include <linux/virtio_blk.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "device/block_device.h"

namespace fallow::vhost_user {

inline constexpr unsigned kFeatureLogAll = 26;
inline constexpr unsigned kFeatureProtocolFeatures = 30;
inline constexpr unsigned kProtocolFeatureMq = 0;
inline constexpr unsigned kProtocolFeatureLogShmfd = 1;
inline constexpr unsigned kProtocolFeatureReplyAck = 3;
inline constexpr unsigned kProtocolFeatureBackendReq = 5;
inline constexpr unsigned kProtocolFeatureConfig = 9;
inline constexpr unsigned kProtocolFeatureInflightShmfd = 12;
inline constexpr unsigned kProtocolFeatureConfigureMemSlots = 15;

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

// A request's segments, and the bytes that they may add up to: they bound what one request can make
// the loop do at once. A driver that keeps SEG_MAX and SIZE_MAX cannot exceed the sum.
inline constexpr std::uint32_t kSegmentsMax = 126;
inline constexpr std::uint32_t kSegmentBytesMax = 128 * 1024;
inline constexpr std::uint64_t kRequestBytesMax = std::uint64_t{kSegmentsMax} * kSegmentBytesMax;
// Discard and write-zeroes: 64 MiB in the one range that a request may bring.
inline constexpr std::uint32_t kRangeSectorsMax = 64u * 1024 * 1024 / kSectorSize;

// The lasting facts of one export.
struct DeviceShape {
  std::uint64_t capacity_sectors = 0;
  std::uint32_t logical_block_size = 4096;
  unsigned queues_max = 1;
  bool migratable = false;
  std::array<char, VIRTIO_BLK_ID_BYTES> serial{};  // padded with zeros, not terminated
};

DeviceShape make_shape(const BlockDevice& device, unsigned queues_max, std::string_view serial);

std::uint64_t offered_features(const DeviceShape& shape);
std::uint64_t offered_protocol_features(const DeviceShape& shape);
virtio_blk_config make_config(const DeviceShape& shape);

}  // namespace fallow::vhost_user
