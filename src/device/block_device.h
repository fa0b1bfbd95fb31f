// What a front end sees of a block device: requests in, completions out.
//
// Thread rule: one thread owns a device at a time: it alone calls submit() and poll(), and every
// completion runs on it, possibly before submit() returns.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

namespace fallow {

inline constexpr std::uint32_t kSectorSize = 512;

enum class IoOp : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };
enum class IoStatus : std::uint8_t { kOk, kIoError };

struct IoRequest {
  IoOp op = IoOp::kRead;
  // Bytes, multiples of kSectorSize; the range lies within the device (the front end has checked).
  // kFlush takes no range.
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  // For kRead and kWrite: where the data is; the lengths add up to `length`. The memory may be
  // written by a hostile guest at any time; it stays mapped, and the array valid, until done().
  std::span<const iovec> segments;
  // Called exactly once, on the owner's thread.
  void (*done)(IoRequest* request, IoStatus status) = nullptr;

  // The device's own, between submit() and done(). Front ends leave them alone.
  std::uint64_t cursor = 0;         // bytes of the range that have been dealt with or handed on
  std::uint32_t parts_pending = 0;  // transfers under way, plus one until the cursor is at the end
  IoStatus worst = IoStatus::kOk;
  IoRequest* next_waiting = nullptr;
};

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
  // 512 or 4096: what the guest is told; requests in sectors of 512 work either way.
  [[nodiscard]] virtual std::uint32_t logical_block_size() const = 0;
  // Takes the request; it belongs to the device until its done() is called.
  virtual void submit(IoRequest* request) = 0;
  // Readable when poll() has something to do.
  [[nodiscard]] virtual int event_fd() const = 0;
  // Reaps what has completed and starts what was waiting for it. Never blocks.
  virtual void poll() = 0;
  // Requests submitted and not yet done.
  [[nodiscard]] virtual std::uint64_t in_flight() const = 0;

  struct Extent {
    std::uint64_t length = 0;  // bytes from the offset that was asked about
    bool hole = false;         // they were never written, or discarded: they read as zeros
  };
  // How far the state at `offset` reaches, up to `limit` bytes and in bounded time: what follows
  // may have the same state. Both are multiples of kPageSize, above zero and within the device.
  [[nodiscard]] virtual Extent extent(std::uint64_t /*offset*/, std::uint64_t limit) const {
    return {limit, false};
  }
};

}  // namespace fallow
