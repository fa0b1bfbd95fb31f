// A virtio-blk request, from a descriptor chain to something that a BlockDevice takes. Everything
// is checked here: header, range, segments, limits. The chain is a private copy; the header and a
// discard's range are copied once from guest memory.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/block_device.h"
#include "frontend/vhost_user/device_config.h"
#include "frontend/vhost_user/guest_memory.h"
#include "frontend/vhost_user/virtqueue.h"

namespace fallow::vhost_user {

class BlockQueue;

// A few more than the segments: one that crosses from a memory region to the next needs two.
using SegmentRoom = std::array<iovec, kSegmentsMax + kRegionsMax>;

// One slot of a queue, for the chain with the same head. Lives as long as the queue.
struct BlockRequest : IoRequest {
  BlockQueue* queue = nullptr;
  std::byte* status = nullptr;  // in guest memory
  std::uint32_t written = 0;    // bytes of guest memory that success has written, status included
  std::uint16_t head = 0;
  bool in_flight = false;
};

enum class Parsed {
  kSubmit,        // `request` is ready for the device
  kAnswered,      // no work for the device: `answer` goes into the status byte
  kUnanswerable,  // there is no status byte to write
};

struct ParseResult {
  Parsed parsed = Parsed::kUnanswerable;
  std::uint8_t answer = 0;  // VIRTIO_BLK_S_*
};

// Fills in `request` (but for `done`, `queue`, `in_flight`) with its segments in `room`. Data that
// needs no device, such as the serial number, has been written when this returns.
ParseResult parse_block_request(const Chain& chain, const GuestMemory& memory,
                                const DeviceShape& shape, SegmentRoom& room, BlockRequest& request);

}  // namespace fallow::vhost_user
