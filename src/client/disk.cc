#include "client/disk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "client/failure.h"

namespace fallow::client {
namespace {

// Enough to keep a daemon with a disk behind it at work.
constexpr std::size_t kInFlightMax = 4;

int check_range(const Client& client, std::uint64_t length, std::uint64_t offset) {
  if (!client.has_disk()) {
    return fail(EINVAL, "this client is not attached to a disk: set options.disk");
  }
  if (offset % client.disk_block_bytes() != 0 || length % client.disk_block_bytes() != 0) {
    return fail(EINVAL, "offset and length must be multiples of the disk's blocks of " +
                            std::to_string(client.disk_block_bytes()) + " bytes");
  }
  if (offset > client.disk_bytes() || length > client.disk_bytes() - offset) {
    return fail(EINVAL, "the range ends behind the disk's end");
  }
  return 0;
}

struct Range {
  ring::Opcode opcode;
  std::byte* data;  // nullptr: no data moves
  std::uint64_t length;
  std::uint64_t offset;
  std::uint64_t piece_max;
};

// Carries a range out in pieces. The first failure is the result; nothing is begun after it, and
// what was begun is waited for, as it uses the caller's memory.
class Pieces {
 public:
  Pieces(Queue& queue, const Range& range) : queue_(queue), range_(range) {}

  int run() {
    while (result_ == 0 && done_ < range_.length) {
      if (begun_ == awaited_ + kInFlightMax) {
        await_oldest();
      } else {
        begin_next();
      }
    }
    while (awaited_ < begun_) {
      await_oldest();
    }
    return result_;
  }

 private:
  void begin_next() {
    const std::uint64_t length = std::min(range_.length - done_, range_.piece_max);
    Operation operation;
    operation.opcode = range_.opcode;
    operation.length = static_cast<std::uint32_t>(length);
    operation.object = range_.offset + done_;
    operation.memory = range_.data == nullptr ? nullptr : range_.data + done_;
    Outcome& outcome = outcomes_[begun_ % kInFlightMax];
    outcome = {};
    const int error = queue_.begin(operation, outcome);
    if (error != 0) {
      result_ = error;
      return;
    }
    ++begun_;
    done_ += length;
  }

  void await_oldest() {
    const int result = queue_.await(outcomes_[awaited_++ % kInFlightMax]);
    if (result < 0 && result_ == 0) {
      result_ = result;
    }
  }

  Queue& queue_;
  const Range range_;
  std::array<Outcome, kInFlightMax> outcomes_{};
  std::uint64_t done_ = 0;
  std::size_t begun_ = 0;
  std::size_t awaited_ = 0;
  int result_ = 0;
};

int carry_out(Queue& queue, const Range& range) {
  const int error = check_range(queue.client(), range.length, range.offset);
  return error != 0 ? error : Pieces(queue, range).run();
}

}  // namespace

int read_disk(Queue& queue, void* data, std::size_t length, std::uint64_t offset) {
  return carry_out(queue, {ring::Opcode::kRead, static_cast<std::byte*>(data), length, offset,
                           ring::kTransferBytesMax});
}

int write_disk(Queue& queue, const void* data, std::size_t length, std::uint64_t offset) {
  // Only read from: the opcode says which way data moves.
  auto* bytes = static_cast<std::byte*>(const_cast<void*>(data));
  return carry_out(queue, {ring::Opcode::kWrite, bytes, length, offset, ring::kTransferBytesMax});
}

int sync_disk(Queue& queue) {
  if (const int error = check_range(queue.client(), 0, 0); error != 0) {
    return error;
  }
  Operation sync;
  sync.opcode = ring::Opcode::kSync;
  const int result = queue.run(sync);
  return std::min(result, 0);
}

int discard_disk(Queue& queue, std::uint64_t length, std::uint64_t offset) {
  return carry_out(queue, {ring::Opcode::kDiscard, nullptr, length, offset, ring::kDiskRangeMax});
}

int zero_disk(Queue& queue, std::uint64_t length, std::uint64_t offset) {
  return carry_out(queue,
                   {ring::Opcode::kWriteZeroes, nullptr, length, offset, ring::kDiskRangeMax});
}

int find_extent(Queue& queue, std::uint64_t length, std::uint64_t offset, std::uint64_t& extent) {
  if (const int error = check_range(queue.client(), length, offset); error != 0) {
    return error;
  }
  if (length == 0) {
    return fail(EINVAL, "an extent of no length");
  }
  // The daemon speaks of whole pages; the disk has a whole number of them.
  const std::uint64_t first = offset - offset % FALLOW_PAGE_SIZE;
  const std::uint64_t end =
      (offset + length + FALLOW_PAGE_SIZE - 1) / FALLOW_PAGE_SIZE * FALLOW_PAGE_SIZE;
  Operation ask;
  ask.opcode = ring::Opcode::kExtent;
  ask.length =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(end - first, ring::kDiskRangeMax));
  ask.object = first;
  std::uint32_t pages = 0;
  const int result = queue.run(ask, &pages);
  if (result < 0) {
    return result;
  }
  if (pages == 0) {
    return fail(EIO, "the daemon knows no extent there");
  }
  extent = std::min(first + std::uint64_t{pages} * FALLOW_PAGE_SIZE - offset, length);
  return result;
}

}  // namespace fallow::client
