#include "frontend/vhost_user/driver_queue.h"

#include <linux/virtio_blk.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/units.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

constexpr unsigned kSpins = 400;
constexpr std::size_t kUsedElement = 8;

std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

std::atomic_ref<std::uint16_t> shared(std::uint16_t* word) {
  return std::atomic_ref<std::uint16_t>(*word);
}

std::size_t available_at(unsigned size) {
  return size * sizeof(Descriptor);
}

std::size_t used_at(unsigned size) {
  return round_up(available_at(size) + 6 + 2 * size, 4096);
}

std::size_t slots_at(unsigned size) {
  return round_up(used_at(size) + 6 + kUsedElement * size, kPageSize);
}

unsigned slots_of(const DriverQueue::Options& options) {
  return options.indirect ? options.size : options.size / 3;
}

bool device_writes(std::uint32_t type) {
  return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

}  // namespace

std::size_t DriverQueue::bytes_needed(const Options& options) {
  const std::size_t slots = slots_of(options);
  return slots_at(options.size) + round_up(slots * kSlotHead, kPageSize) +
         slots * round_up(options.slot_bytes, kPageSize);
}

DriverQueue::DriverQueue(std::span<std::byte> memory, std::uint64_t guest_address,
                         const Options& options)
    : memory_(memory.data()),
      guest_(guest_address),
      options_(options),
      slots_(slots_of(options)),
      kick_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      call_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(memory.size() >= bytes_needed(options));
}

std::size_t DriverQueue::available_offset() const {
  return available_at(options_.size);
}

std::size_t DriverQueue::used_offset() const {
  return used_at(options_.size);
}

std::size_t DriverQueue::slot_offset(unsigned index) const {
  return slots_at(options_.size) + index * kSlotHead;
}

std::size_t DriverQueue::data_offset(unsigned index) const {
  return slots_at(options_.size) + round_up(slots_ * kSlotHead, kPageSize) +
         index * round_up(options_.slot_bytes, kPageSize);
}

std::uint64_t DriverQueue::slot_address(unsigned index) const {
  return guest_ + slot_offset(index);
}

DriverQueue::Slot& DriverQueue::slot(unsigned index) const {
  return *reinterpret_cast<Slot*>(memory_ + slot_offset(index));
}

std::span<std::byte> DriverQueue::data(unsigned index) const {
  CHECK(index < slots_);
  return {memory_ + data_offset(index), options_.slot_bytes};
}

Descriptor* DriverQueue::descriptors() const {
  return reinterpret_cast<Descriptor*>(memory_);
}

std::uint16_t* DriverQueue::word(std::size_t offset) const {
  return reinterpret_cast<std::uint16_t*>(memory_ + offset);
}

// Writes the chain of `slot` into `table`, whose indices begin at `base`.
unsigned DriverQueue::fill(Descriptor* table, unsigned base, unsigned index, std::uint32_t type,
                           std::uint32_t length) const {
  const std::uint64_t at = slot_address(index);
  unsigned count = 0;
  const auto add = [&](std::uint64_t address, std::uint32_t bytes, bool writable) {
    const auto flags = static_cast<std::uint16_t>(writable ? VRING_DESC_F_WRITE : 0);
    if (count > 0) {
      table[count - 1].flags |= VRING_DESC_F_NEXT;
      table[count - 1].next = static_cast<std::uint16_t>(base + count);
    }
    table[count++] = {address, bytes, flags, 0};
  };
  add(at + offsetof(Slot, header), sizeof(Slot::header), false);
  if (length > 0) {
    add(guest_ + data_offset(index), length, device_writes(type));
  }
  add(at + offsetof(Slot, status), 1, true);
  return count;
}

void DriverQueue::submit(unsigned index, std::uint32_t type, std::uint64_t sector,
                         std::uint32_t length) {
  CHECK(index < slots_ && length <= options_.slot_bytes);
  Slot& own = slot(index);
  const virtio_blk_outhdr header{type, 0, sector};
  std::memcpy(own.header, &header, sizeof header);
  own.status = 0xff;
  if (!options_.indirect) {
    fill(descriptors() + index * 3, index * 3, index, type, length);
    post(static_cast<std::uint16_t>(index * 3));
    return;
  }
  const unsigned count = fill(own.table, 0, index, type, length);
  descriptors()[index] = {slot_address(index) + offsetof(Slot, table),
                          static_cast<std::uint32_t>(count * sizeof(Descriptor)),
                          VRING_DESC_F_INDIRECT, 0};
  post(static_cast<std::uint16_t>(index));
}

void DriverQueue::post(std::uint16_t head) {
  *word(available_offset() + 4 + 2 * (available_ % options_.size)) = head;
  set_available(static_cast<std::uint16_t>(available_ + 1));
}

void DriverQueue::set_available(std::uint16_t index) {
  available_ = index;
  // seq_cst: entry and descriptors before the index, the index before wants_kick() looks.
  shared(word(available_offset() + 2)).store(index);
}

bool DriverQueue::wants_kick() const {
  if (!options_.event_index) {
    return (shared(word(used_offset())).load() & VRING_USED_F_NO_NOTIFY) == 0;
  }
  const auto event = shared(word(used_offset() + 4 + kUsedElement * options_.size)).load();
  return static_cast<std::uint16_t>(available_ - event - 1) <
         static_cast<std::uint16_t>(available_ - kicked_);
}

void DriverQueue::kick() {
  const bool wanted = wants_kick();
  kicked_ = available_;
  if (wanted) {
    kick_always();
  }
}

void DriverQueue::kick_always() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(kick_.get(), &one, sizeof one);
}

bool DriverQueue::poll(Completion& completion) {
  // acquire: pairs with the device's store of the index after the element.
  if (shared(word(used_offset() + 2)).load(std::memory_order_acquire) == seen_) {
    return false;
  }
  std::uint32_t element[2];
  std::memcpy(element, memory_ + used_offset() + 4 + (seen_ % options_.size) * kUsedElement,
              sizeof element);
  ++seen_;
  completion.slot = options_.indirect ? element[0] : element[0] / 3;
  completion.written = element[1];
  completion.status = completion.slot < slots_ ? slot(completion.slot).status : 0xff;
  return true;
}

bool DriverQueue::wait(Completion& completion, int timeout_ms) {
  for (unsigned i = 0; i < kSpins; ++i) {
    if (poll(completion)) {
      return true;
    }
    __builtin_ia32_pause();
  }
  for (;;) {
    if (!ask_for_notification()) {
      return poll(completion);
    }
    pollfd query{call_.get(), POLLIN, 0};
    if (::poll(&query, 1, timeout_ms) != 1) {
      return poll(completion);
    }
    drain_notification();
  }
}

bool DriverQueue::ask_for_notification() {
  // seq_cst: pairs with the device's look at this word after its store of the used index.
  shared(word(available_offset() + 4 + 2 * options_.size)).store(seen_);
  return used_index() == seen_;
}

void DriverQueue::drain_notification() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(call_.get(), &count, sizeof count);
}

std::uint16_t DriverQueue::used_index() const {
  return shared(word(used_offset() + 2)).load();
}

}  // namespace fallow::vhost_user
