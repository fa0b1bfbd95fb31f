// The driver's side of one split virtqueue, for the test front end: fixed slots, each with its own
// header, status and data in guest memory, and its own descriptors, so that a submit writes a few
// words and allocates nothing.
//
// One thread. Hostile tests write the ring by hand through descriptors(), post() and
// set_available().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/file.h"
#include "frontend/vhost_user/virtqueue.h"

namespace fallow::vhost_user {

class DriverQueue {
 public:
  struct Options {
    unsigned size = 128;            // a power of two, at most kQueueSizeMax
    std::size_t slot_bytes = 4096;  // the largest read or write
    bool indirect = true;
    bool event_index = true;
  };
  struct Completion {
    unsigned slot = 0;
    std::uint8_t status = 0;  // VIRTIO_BLK_S_*
    std::uint32_t written = 0;
  };

  // Bytes of guest memory that a queue needs; a multiple of the page size.
  static std::size_t bytes_needed(const Options& options);

  // `memory` is zeroed guest memory; `guest_address` is where the guest sees it.
  DriverQueue(std::span<std::byte> memory, std::uint64_t guest_address, const Options& options);

  // How many requests can be in flight.
  [[nodiscard]] unsigned slots() const { return slots_; }
  // The data of `slot`: fill it before a write, look at it after a read.
  [[nodiscard]] std::span<std::byte> data(unsigned slot) const;

  // Puts a virtio-blk request of `type` on the ring. `length` bytes of data(slot) go along (for
  // discard and write-zeroes: a virtio_blk_discard_write_zeroes). The slot must be free. kick()
  // afterwards, once for as many submits as you like.
  void submit(unsigned slot, std::uint32_t type, std::uint64_t sector, std::uint32_t length);
  // Notifies the device if it wants to be.
  void kick();
  // Notifies the device even if it does not want to be.
  void kick_always();

  // One completion, if there is one.
  [[nodiscard]] bool poll(Completion& completion);
  // Spins briefly, then blocks. False when nothing has completed after `timeout_ms`.
  [[nodiscard]] bool wait(Completion& completion, int timeout_ms);

  // Asks for a notification of the next completion. False when there is one already: poll() for it,
  // as no notification need come.
  [[nodiscard]] bool ask_for_notification();
  // Takes a notification back, so that call_fd() is readable at the next one only.
  void drain_notification();
  // What the device has shown as used: where a new back end, after the death of the old one, is
  // told to go on.
  [[nodiscard]] std::uint16_t used_index() const;

  [[nodiscard]] int kick_fd() const { return kick_.get(); }
  [[nodiscard]] int call_fd() const { return call_.get(); }
  [[nodiscard]] unsigned size() const { return options_.size; }

  // Offsets into the queue's memory.
  [[nodiscard]] std::size_t descriptors_offset() const { return 0; }
  [[nodiscard]] std::size_t available_offset() const;
  [[nodiscard]] std::size_t used_offset() const;

  // For hostile tests.
  [[nodiscard]] Descriptor* descriptors() const;
  [[nodiscard]] std::uint64_t guest_address(std::size_t offset) const { return guest_ + offset; }
  [[nodiscard]] std::uint64_t slot_address(unsigned slot) const;
  void post(std::uint16_t head);
  void set_available(std::uint16_t index);
  [[nodiscard]] std::uint16_t available() const { return available_; }

 private:
  struct Slot {  // the part of a slot that is not data
    std::byte header[16];
    Descriptor table[3];
    std::uint8_t status;
  };
  static constexpr std::size_t kSlotHead = 128;
  static_assert(sizeof(Slot) <= kSlotHead);

  [[nodiscard]] Slot& slot(unsigned index) const;
  [[nodiscard]] std::size_t slot_offset(unsigned index) const;
  [[nodiscard]] std::size_t data_offset(unsigned index) const;
  unsigned fill(Descriptor* table, unsigned base, unsigned slot, std::uint32_t type,
                std::uint32_t length) const;
  [[nodiscard]] std::uint16_t* word(std::size_t offset) const;
  [[nodiscard]] bool wants_kick() const;

  std::byte* memory_;
  std::uint64_t guest_;
  Options options_;
  unsigned slots_;
  UniqueFd kick_;
  UniqueFd call_;
  std::uint16_t available_ = 0;
  std::uint16_t kicked_ = 0;  // `available_` at the last kick()
  std::uint16_t seen_ = 0;    // completions taken
};

}  // namespace fallow::vhost_user
