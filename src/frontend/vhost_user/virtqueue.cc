#include "frontend/vhost_user/virtqueue.h"

#include <atomic>
#include <bit>
#include <utility>

#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

constexpr std::size_t kRingHead = 4;  // flags and index, 16 bits each
constexpr std::size_t kFlagsWord = 0;
constexpr std::size_t kIndexWord = 1;

bool aligned(const void* at, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(at) % alignment == 0;
}

std::atomic_ref<std::uint16_t> shared_word(std::uint16_t& word) {
  return std::atomic_ref<std::uint16_t>(word);
}

// Virtio 1.2, 2.7.10: has the index `event` been passed on the way from `before` to `now`?
bool passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace

bool Descriptor::writable() const {
  return (flags & VRING_DESC_F_WRITE) != 0;
}

void Chain::clear(std::uint16_t head) {
  head_ = head;
  count_ = 0;
  readable_ = 0;
}

bool Chain::add(const Descriptor& descriptor) {
  if (count_ == chain_.size() || (!descriptor.writable() && readable_ != count_)) {
    return false;
  }
  chain_[count_++] = descriptor;
  readable_ += descriptor.writable() ? 0 : 1;
  return true;
}

Status Virtqueue::check_size(std::uint32_t size) {
  if (size == 0 || size > kQueueSizeMax || !std::has_single_bit(size)) {
    return invalid("queue size " + std::to_string(size) + " is not a power of two up to " +
                   std::to_string(kQueueSizeMax));
  }
  return {};
}

Result<Virtqueue> Virtqueue::map(const GuestMemory& memory, const Settings& settings) {
  FALLOW_TRY(check_size(settings.size));
  Virtqueue queue;
  queue.size_ = static_cast<std::uint16_t>(settings.size);
  queue.event_index_ = settings.event_index;
  queue.indirect_ = settings.indirect;
  queue.addresses_ = settings.addresses;
  queue.next_available_ = settings.base;
  FALLOW_TRY(queue.remap(memory));
  // Where the driver's last device left off; any value is as good as another from a hostile one.
  auto* used_words = reinterpret_cast<std::uint16_t*>(queue.used_ring_);
  queue.used_ = shared_word(used_words[kIndexWord]).load();
  queue.published_ = queue.used_;
  queue.inflight_ = settings.inflight;
  FALLOW_TRY(queue.recover());
  return queue;
}

Status Virtqueue::recover() {
  if (!inflight_) {
    return {};
  }
  auto found = inflight_.recover(used_, size_);
  FALLOW_TRY(found);
  if (found->continued) {
    next_available_ = static_cast<std::uint16_t>(used_ + found->heads.size());
    recovered_ = std::move(found->heads);
  }
  return {};
}

Status Virtqueue::remap(const GuestMemory& memory) {
  const std::size_t event = sizeof(std::uint16_t);
  auto* descriptors = memory.at_user(addresses_.descriptors, size_ * sizeof(Descriptor));
  auto* available =
      memory.at_user(addresses_.available, kRingHead + size_ * sizeof(std::uint16_t) + event);
  auto* used = memory.at_user(addresses_.used, kRingHead + size_ * sizeof(UsedElement) + event);
  if (descriptors == nullptr || available == nullptr || used == nullptr) {
    return invalid("a ring does not lie within guest memory");
  }
  if (!aligned(descriptors, 16) || !aligned(available, 2) || !aligned(used, 4)) {
    return invalid("a ring is not aligned as virtio demands");
  }
  descriptors_ = descriptors;
  available_ = reinterpret_cast<std::uint16_t*>(available);
  used_ring_ = used;
  return {};
}

std::uint16_t Virtqueue::read_available_index() const {
  // seq_cst, so that the check after enable_notifications() cannot come before its store; it also
  // pairs with the driver's write barrier between a ring entry and the index.
  return shared_word(available_[kIndexWord]).load();
}

bool Virtqueue::has_available() const {
  return has_recovered() || read_available_index() != next_available_;
}

Virtqueue::Take Virtqueue::take(const GuestMemory& memory, Chain& chain) {
  if (has_recovered()) {
    const std::uint16_t head = recovered_[recovered_taken_++];
    return collect(memory, head, chain) ? Take::kChain : Take::kBroken;
  }
  const auto pending = static_cast<std::uint16_t>(read_available_index() - next_available_);
  if (pending == 0) {
    return Take::kNone;
  }
  if (pending > size_) {
    return Take::kBroken;
  }
  std::uint16_t head = 0;
  copy_once(&head, &available_[kRingHead / 2 + next_available_ % size_], sizeof head);
  if (head >= size_) {
    return Take::kBroken;
  }
  inflight_.take(head);
  ++next_available_;
  return collect(memory, head, chain) ? Take::kChain : Take::kBroken;
}

Descriptor Virtqueue::descriptor(std::uint16_t index) const {
  Descriptor copy;
  copy_once(&copy, descriptors_ + index * sizeof copy, sizeof copy);
  return copy;
}

bool Virtqueue::collect(const GuestMemory& memory, std::uint16_t head, Chain& chain) const {
  chain.clear(head);
  Descriptor current = descriptor(head);
  if ((current.flags & VRING_DESC_F_INDIRECT) != 0) {
    return collect_indirect(memory, current, chain);
  }
  for (unsigned length = 1;; ++length) {
    if ((current.flags & VRING_DESC_F_INDIRECT) != 0 || !chain.add(current)) {
      return false;
    }
    if ((current.flags & VRING_DESC_F_NEXT) == 0) {
      return true;
    }
    if (current.next >= size_ || length == size_) {
      return false;
    }
    current = descriptor(current.next);
  }
}

bool Virtqueue::collect_indirect(const GuestMemory& memory, const Descriptor& table,
                                 Chain& chain) const {
  const std::size_t entries = table.length / sizeof(Descriptor);
  if (!indirect_ || (table.flags & VRING_DESC_F_NEXT) != 0 || entries == 0 ||
      entries > chain.table_.size() || table.length % sizeof(Descriptor) != 0) {
    return false;
  }
  return memory.read_guest(table.address, chain.table_.data(), table.length) &&
         follow({chain.table_.data(), entries}, chain);
}

bool Virtqueue::follow(std::span<const Descriptor> table, Chain& chain) {
  std::size_t index = 0;
  for (std::size_t length = 1;; ++length) {
    const Descriptor& current = table[index];
    if ((current.flags & VRING_DESC_F_INDIRECT) != 0 || !chain.add(current)) {
      return false;
    }
    if ((current.flags & VRING_DESC_F_NEXT) == 0) {
      return true;
    }
    if (current.next >= table.size() || length == table.size()) {
      return false;
    }
    index = current.next;
  }
}

void Virtqueue::set_used_log(DirtyLog* log, std::uint64_t address) {
  used_log_ = log;
  used_log_address_ = address;
}

void Virtqueue::mark_used(std::size_t offset, std::size_t size) {
  if (used_log_ != nullptr) {
    used_log_->mark(used_log_address_ + offset, size);
  }
}

void Virtqueue::push(std::uint16_t head, std::uint32_t written) {
  const UsedElement element{head, written};
  const std::size_t at = kRingHead + (used_ % size_) * sizeof element;
  std::memcpy(used_ring_ + at, &element, sizeof element);
  mark_used(at, sizeof element);
  ++used_;
  inflight_.give_back(head);
}

bool Virtqueue::publish() {
  if (used_ == published_) {
    return false;
  }
  auto* words = reinterpret_cast<std::uint16_t*>(used_ring_);
  // seq_cst: the elements are visible before the index, and the index before we look whether the
  // driver wants to be notified; pairs with the driver's full barrier between its store of
  // used_event (or flags) and its load of the index.
  shared_word(words[kIndexWord]).store(used_);
  mark_used(0, kRingHead);
  inflight_.commit(used_);
  const std::uint16_t before = std::exchange(published_, used_);
  if (!event_index_) {
    const auto flags = shared_word(available_[kFlagsWord]).load();
    return (flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
  }
  return passed(shared_word(available_[kRingHead / 2 + size_]).load(), used_, before);
}

void Virtqueue::disable_notifications() {
  if (!event_index_) {  // with an event index, a stale one is silent by itself
    auto* words = reinterpret_cast<std::uint16_t*>(used_ring_);
    // relaxed: a hint; a notification too many does no harm.
    shared_word(words[kFlagsWord]).store(VRING_USED_F_NO_NOTIFY, std::memory_order_relaxed);
    mark_used(0, kRingHead);
  }
}

bool Virtqueue::enable_notifications() {
  auto* words = reinterpret_cast<std::uint16_t*>(used_ring_);
  const std::size_t event = (kRingHead + size_ * sizeof(UsedElement)) / sizeof(std::uint16_t);
  // seq_cst: pairs with the driver's full barrier between its store of the available index and its
  // look at this word; one of the two sides sees the other.
  if (event_index_) {
    shared_word(words[event]).store(next_available_);
    mark_used(event * sizeof(std::uint16_t), sizeof(std::uint16_t));
  } else {
    shared_word(words[kFlagsWord]).store(0);
    mark_used(0, kRingHead);
  }
  return has_available();
}

}  // namespace fallow::vhost_user
