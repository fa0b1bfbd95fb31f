#include "frontend/vhost_user/block_request.h"

#include <algorithm>
#include <cstring>

namespace fallow::vhost_user {
namespace {

constexpr ParseResult kSubmit{Parsed::kSubmit, VIRTIO_BLK_S_OK};
constexpr ParseResult kIoError{Parsed::kAnswered, VIRTIO_BLK_S_IOERR};
constexpr ParseResult kUnsupported{Parsed::kAnswered, VIRTIO_BLK_S_UNSUPP};

// Descriptors seen as one run of bytes: the driver may cut it wherever it likes.
class ByteRun {
 public:
  explicit ByteRun(std::span<const Descriptor> descriptors) : descriptors_(descriptors) {
    for (const Descriptor& descriptor : descriptors) {
      size_ += descriptor.length;
    }
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  // Calls visit(span of guest memory) for each contiguous piece of [from, from + length), which
  // lies within the run. False when a piece is not in guest memory or visit() returns false.
  template <typename Visit>
  bool each(const GuestMemory& memory, std::uint64_t from, std::uint64_t length,
            Visit visit) const {
    for (const Descriptor& descriptor : descriptors_) {
      const std::uint64_t skipped = std::min<std::uint64_t>(from, descriptor.length);
      const std::uint64_t taken = std::min(length, descriptor.length - skipped);
      if (!each_in(memory, descriptor.address + skipped, taken, visit)) {
        return false;
      }
      from -= skipped;
      length -= taken;
    }
    return length == 0;
  }

 private:
  template <typename Visit>
  static bool each_in(const GuestMemory& memory, std::uint64_t address, std::uint64_t length,
                      Visit& visit) {
    while (length > 0) {
      const auto piece = memory.guest_run(address, length);
      if (piece.empty() || !visit(piece)) {
        return false;
      }
      address += piece.size();
      length -= piece.size();
    }
    return true;
  }

  std::span<const Descriptor> descriptors_;
  std::uint64_t size_ = 0;
};

bool copy_in(const GuestMemory& memory, const ByteRun& run, std::uint64_t from, void* to,
             std::size_t size) {
  auto* out = static_cast<std::byte*>(to);
  return run.each(memory, from, size, [&out](std::span<std::byte> piece) {
    copy_once(out, piece.data(), piece.size());
    out += piece.size();
    return true;
  });
}

bool within(const DeviceShape& shape, std::uint64_t sector, std::uint64_t sectors) {
  return sector <= shape.capacity_sectors && sectors <= shape.capacity_sectors - sector;
}

// Reads and writes.
ParseResult parse_transfer(const ByteRun& run, std::uint64_t from, std::uint64_t length,
                           const GuestMemory& memory, const DeviceShape& shape, SegmentRoom& room,
                           std::uint64_t sector, BlockRequest& request) {
  if (length == 0 || length % kSectorSize != 0 || length > kRequestBytesMax ||
      !within(shape, sector, length / kSectorSize)) {
    return kIoError;
  }
  std::size_t count = 0;
  const bool mapped = run.each(memory, from, length, [&](std::span<std::byte> piece) {
    if (count == room.size()) {
      return false;
    }
    room[count++] = {piece.data(), piece.size()};
    return true;
  });
  if (!mapped) {
    return kIoError;
  }
  request.offset = sector * kSectorSize;
  request.length = length;
  request.segments = {room.data(), count};
  return kSubmit;
}

// Discard and write-zeroes. Virtio 1.2, 5.2.6.2: unknown flags, and `unmap` in a discard, are
// unsupported.
ParseResult parse_range(const ByteRun& run, std::uint64_t from, std::uint32_t flags_known,
                        const GuestMemory& memory, const DeviceShape& shape,
                        BlockRequest& request) {
  virtio_blk_discard_write_zeroes range{};
  if (run.size() - from != sizeof range || !copy_in(memory, run, from, &range, sizeof range)) {
    return kIoError;
  }
  if ((range.flags & ~flags_known) != 0) {
    return kUnsupported;
  }
  if (range.num_sectors == 0 || range.num_sectors > kRangeSectorsMax ||
      !within(shape, range.sector, range.num_sectors)) {
    return kIoError;
  }
  request.offset = range.sector * kSectorSize;
  request.length = std::uint64_t{range.num_sectors} * kSectorSize;
  return kSubmit;
}

// Its segments are noted like a read's, for the dirty log.
ParseResult answer_get_id(const ByteRun& writable, const GuestMemory& memory,
                          const DeviceShape& shape, SegmentRoom& room, BlockRequest& request) {
  std::size_t count = 0;
  const auto length = std::min<std::uint64_t>(writable.size() - 1, shape.serial.size());
  const char* from = shape.serial.data();
  const bool written = writable.each(memory, 0, length, [&](std::span<std::byte> piece) {
    std::memcpy(piece.data(), from, piece.size());
    from += piece.size();
    room[count++] = {piece.data(), piece.size()};
    return true;
  });
  static_assert(VIRTIO_BLK_ID_BYTES < std::tuple_size_v<SegmentRoom>);
  request.op = IoOp::kRead;
  request.segments = {room.data(), count};
  if (!written) {
    return kIoError;
  }
  request.written = static_cast<std::uint32_t>(length + 1);
  return {Parsed::kAnswered, VIRTIO_BLK_S_OK};
}

// The last writable byte, as virtio lays it down.
std::byte* find_status(const ByteRun& writable, const GuestMemory& memory) {
  std::byte* status = nullptr;
  if (writable.size() > 0) {
    writable.each(memory, writable.size() - 1, 1, [&status](std::span<std::byte> piece) {
      status = piece.data();
      return true;
    });
  }
  return status;
}

void reset(BlockRequest& request, IoOp op, std::byte* status) {
  request.op = op;
  request.offset = 0;
  request.length = 0;
  request.segments = {};
  request.status = status;
  request.written = 1;
}

}  // namespace

ParseResult parse_block_request(const Chain& chain, const GuestMemory& memory,
                                const DeviceShape& shape, SegmentRoom& room,
                                BlockRequest& request) {
  const ByteRun readable(chain.readable());
  const ByteRun writable(chain.writable());
  std::byte* status = find_status(writable, memory);
  if (status == nullptr) {
    return {};
  }
  reset(request, IoOp::kFlush, status);
  virtio_blk_outhdr header{};
  constexpr std::uint64_t data = sizeof header;
  if (!copy_in(memory, readable, 0, &header, sizeof header)) {
    return kIoError;
  }
  switch (header.type) {
    case VIRTIO_BLK_T_IN: {
      const std::uint64_t length = writable.size() - 1;
      request.op = IoOp::kRead;
      // Bounded by kRequestBytesMax when it is submitted, so that it fits.
      request.written = static_cast<std::uint32_t>(length + 1);
      return parse_transfer(writable, 0, length, memory, shape, room, header.sector, request);
    }
    case VIRTIO_BLK_T_OUT:
      request.op = IoOp::kWrite;
      return parse_transfer(readable, data, readable.size() - data, memory, shape, room,
                            header.sector, request);
    case VIRTIO_BLK_T_FLUSH:
      return kSubmit;
    case VIRTIO_BLK_T_GET_ID:
      return answer_get_id(writable, memory, shape, room, request);
    case VIRTIO_BLK_T_DISCARD:
      request.op = IoOp::kDiscard;
      return parse_range(readable, data, 0, memory, shape, request);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      request.op = IoOp::kWriteZeroes;
      return parse_range(readable, data, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, memory, shape,
                         request);
    default:
      return kUnsupported;
  }
}

}  // namespace fallow::vhost_user
