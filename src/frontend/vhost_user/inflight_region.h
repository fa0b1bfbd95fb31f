// Which requests a back end has taken and not yet returned, in memory that outlives it: the shared
// region of the protocol's INFLIGHT_SHMFD, for split rings. The front end keeps the file; after our
// death, or a lost connection, it brings it back, and what was in flight is submitted again.
//
// The crash story. A request is in flight from its head's take() to the commit() after the used
// index that returned it. Heads are taken in the driver's order, so that at any moment the heads
// that the driver sees as used and the heads in flight are together the first ones that it ever
// made available: a new life goes on at the used index plus the number in flight. Only the used
// index in guest memory moves a request from one to the other. What that leaves undone in the
// region, if the process dies before commit() is through, recover() can tell: give_back() has
// chained the heads of the batch, and the region's own used index is still the old one.
//
// The front end can write the region at any time, so nothing in it is trusted: recover() checks
// indices and bounds, and nothing else reads it. The worst that a lie does is to have some of the
// driver's own heads served twice.
//
// Source: QEMU's docs/interop/vhost-user.rst, 'Inflight I/O tracking'. One thread, the session's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/file.h"
#include "base/foreign_memory.h"
#include "base/result.h"

namespace fallow::vhost_user {

// One ring's part of the region. Valid as long as the region; without one, it keeps no log.
class InflightLog {
 public:
  struct Recovered {
    // False: the log has just been begun, and says nothing about the time before.
    bool continued = false;
    std::vector<std::uint16_t> heads;  // in flight, oldest first
  };

  InflightLog() = default;
  [[nodiscard]] explicit operator bool() const { return header_ != nullptr; }

  // Before any other call: goes on where the last user of the region left off. `used` is the used
  // index in guest memory. An error (kInvalid) says why the log cannot be that of this ring.
  Result<Recovered> recover(std::uint16_t used, std::uint16_t ring_size);

  // The driver's next head is ours, from before anything is done about it. `head` < ring_size.
  void take(std::uint16_t head);
  // The request of `head` is in the used ring, not yet shown to the driver.
  void give_back(std::uint16_t head);
  // All that was given back has been shown: the used index in guest memory is `used`.
  void commit(std::uint16_t used);

 private:
  friend class InflightRegion;
  struct Entry;
  struct Header;

  [[nodiscard]] Status check_header() const;
  [[nodiscard]] Status finish_last_batch(std::uint16_t used);
  void begin(std::uint16_t used);
  [[nodiscard]] Entry* entries() const;

  Header* header_ = nullptr;
  std::uint16_t size_ = 0;  // entries
  std::uint64_t counter_ = 0;
  std::uint16_t last_given_back_ = 0;
  std::vector<std::uint16_t> batch_;  // given back since the last commit()
};

class InflightRegion {
 public:
  struct Shape {
    std::uint16_t queues = 0;      // 1 to 256
    std::uint16_t queue_size = 0;  // 1 to kQueueSizeMax
  };

  static Status check_shape(const Shape& shape);
  // Bytes of the region, whole pages.
  static std::uint64_t size_bytes(const Shape& shape);
  // A new region's file: zeros, sealed against a change of its size.
  static Result<UniqueFd> make_file(const Shape& shape);
  // Maps a region that a front end brings: `size` bytes from `offset` of the file.
  static Result<InflightRegion> map(int fd, std::uint64_t offset, std::uint64_t size,
                                    const Shape& shape);

  // The log of ring `index`; kInvalid when the region was made for fewer.
  [[nodiscard]] Result<InflightLog> log(std::uint32_t index) const;
  // Whether the front end has cut the file.
  [[nodiscard]] bool broken() const { return memory_.broken(); }

 private:
  static std::uint64_t bytes_per_queue(const Shape& shape);

  Shape shape_;
  ForeignMemory memory_;
};

}  // namespace fallow::vhost_user
