// The device's side of a split virtqueue in memory that a hostile guest shares.
//
// Invariants:
// 1. The indices that matter (`next_available_`, `used_`) are private; the copies in shared memory
//    are written, never read back.
// 2. A descriptor is copied once into private memory and only the copy is looked at.
// 3. A chain is at most as long as its table, which is how loops end; a table has at most kSizeMax
//    entries, a power of two.
//
// With an in-flight log, a ring goes on where a former life left it: take() hands out first what
// was in flight then, and every head is in the log from take() until publish() has shown it as
// used.
//
// One thread, the session's. The pointers are the memory table's: remap() when it is replaced.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "frontend/vhost_user/dirty_log.h"
#include "frontend/vhost_user/guest_memory.h"
#include "frontend/vhost_user/inflight_region.h"
#include "frontend/vhost_user/messages.h"

namespace fallow::vhost_user {

// As in shared memory (struct vring_desc).
struct Descriptor {
  std::uint64_t address = 0;  // guest-physical
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;

  [[nodiscard]] bool writable() const;
};
static_assert(sizeof(Descriptor) == 16);

inline constexpr unsigned kQueueSizeMax = 1024;

// A private copy of one descriptor chain, and the room to take it; large, so one serves all queues.
class Chain {
 public:
  [[nodiscard]] std::uint16_t head() const { return head_; }
  // What the device may read comes first, then what it may write.
  [[nodiscard]] std::span<const Descriptor> readable() const { return {chain_.data(), readable_}; }
  [[nodiscard]] std::span<const Descriptor> writable() const {
    return {chain_.data() + readable_, count_ - readable_};
  }

 private:
  friend class Virtqueue;
  void clear(std::uint16_t head);
  // False when a readable descriptor follows a writable one, or there is no room.
  bool add(const Descriptor& descriptor);

  std::uint16_t head_ = 0;
  std::size_t count_ = 0;
  std::size_t readable_ = 0;
  std::array<Descriptor, kQueueSizeMax> chain_;
  std::array<Descriptor, kQueueSizeMax> table_;  // an indirect table
};

class Virtqueue {
 public:
  struct Settings {
    std::uint32_t size = 0;
    VringAddress addresses;
    std::uint16_t base = 0;
    bool event_index = false;
    bool indirect = false;
    InflightLog inflight;  // one that says where the ring goes on overrides `base`
  };
  enum class Take { kChain, kNone, kBroken };

  static Status check_size(std::uint32_t size);
  static Result<Virtqueue> map(const GuestMemory& memory, const Settings& settings);
  // The same ring in a new memory table.
  Status remap(const GuestMemory& memory);

  // The next chain that the driver has made available. kBroken: the driver has broken the rules in
  // a way that leaves nothing to answer; the ring must not be used any more.
  Take take(const GuestMemory& memory, Chain& chain);
  [[nodiscard]] bool has_available() const;
  // True while take() hands out what was in flight in a former life.
  [[nodiscard]] bool has_recovered() const { return recovered_taken_ < recovered_.size(); }

  // Returns a chain to the driver; seen by it after publish().
  void push(std::uint16_t head, std::uint32_t written);
  // Chains pushed and not yet published.
  [[nodiscard]] std::uint16_t unpublished() const {
    return static_cast<std::uint16_t>(used_ - published_);
  }
  // Shows the pushed chains to the driver. True when it wants to be notified of them.
  bool publish();

  // From now on what is written to the used ring is marked in `log`, at guest address `address` for
  // its first byte; nullptr: nowhere.
  void set_used_log(DirtyLog* log, std::uint64_t address);

  void disable_notifications();
  // True when chains became available before the driver could know that it has to notify: take them
  // now, no notification will come for them.
  [[nodiscard]] bool enable_notifications();

  [[nodiscard]] std::uint16_t next_available() const { return next_available_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }

 private:
  struct UsedElement {
    std::uint32_t id;
    std::uint32_t length;
  };
  Virtqueue() = default;
  Status recover();
  [[nodiscard]] bool collect(const GuestMemory& memory, std::uint16_t head, Chain& chain) const;
  [[nodiscard]] bool collect_indirect(const GuestMemory& memory, const Descriptor& table,
                                      Chain& chain) const;
  [[nodiscard]] static bool follow(std::span<const Descriptor> table, Chain& chain);
  [[nodiscard]] Descriptor descriptor(std::uint16_t index) const;
  [[nodiscard]] std::uint16_t read_available_index() const;
  // A part of the used ring has been written.
  void mark_used(std::size_t offset, std::size_t size);

  std::uint16_t size_ = 0;
  bool event_index_ = false;
  bool indirect_ = false;
  VringAddress addresses_;
  std::uint16_t next_available_ = 0;
  std::uint16_t used_ = 0;
  std::uint16_t published_ = 0;
  DirtyLog* used_log_ = nullptr;
  std::uint64_t used_log_address_ = 0;
  InflightLog inflight_;
  std::vector<std::uint16_t> recovered_;  // in flight in a former life, oldest first
  std::size_t recovered_taken_ = 0;

  // Shared memory. Rings as arrays of words: flags, index, then the entries, then the event word.
  std::byte* descriptors_ = nullptr;
  std::uint16_t* available_ = nullptr;
  std::byte* used_ring_ = nullptr;
};

}  // namespace fallow::vhost_user
