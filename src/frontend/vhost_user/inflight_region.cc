#include "frontend/vhost_user/inflight_region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>

#include "base/units.h"
#include "frontend/vhost_user/virtqueue.h"

namespace fallow::vhost_user {
namespace {

constexpr std::uint16_t kVersion1 = 1;
constexpr std::size_t kAlignment = 64;  // of each ring's part
constexpr unsigned kQueuesMax = 256;

std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

template <typename T>
T read_once(const T& from) {
  T value;
  copy_once(&value, &from, sizeof value);
  return value;
}

// release: a kill finds every store done that comes earlier in the program, so all that matters is
// that the compiler keeps their order.
template <typename T>
void store_in_order(T& to, T value) {
  std::atomic_ref<T>(to).store(value, std::memory_order_release);
}

}  // namespace

// As in shared memory.
struct InflightLog::Entry {
  std::uint8_t inflight;
  std::uint8_t padding[5];
  std::uint16_t next;     // in the list of the last batch given back
  std::uint64_t counter;  // orders the heads by when they were taken
};
struct InflightLog::Header {
  std::uint64_t features;
  std::uint16_t version;  // 0: not begun
  std::uint16_t desc_num;
  std::uint16_t last_batch_head;
  std::uint16_t used_idx;
};

InflightLog::Entry* InflightLog::entries() const {
  static_assert(sizeof(Entry) == 16 && sizeof(Header) == 16);
  return reinterpret_cast<Entry*>(header_ + 1);
}

Status InflightLog::check_header() const {
  const Header header = read_once(*header_);
  if (header.version != kVersion1 || header.features != 0 || header.desc_num != size_) {
    return invalid("the in-flight region has another format or size than was asked for");
  }
  return {};
}

void InflightLog::begin(std::uint16_t used) {
  for (std::uint16_t head = 0; head < size_; ++head) {
    store_in_order(entries()[head].inflight, std::uint8_t{0});
  }
  store_in_order(header_->features, std::uint64_t{0});
  store_in_order(header_->desc_num, size_);
  store_in_order(header_->last_batch_head, std::uint16_t{0});
  store_in_order(header_->used_idx, used);
  store_in_order(header_->version, kVersion1);
}

// The batch that the former life had shown to the driver, or was about to forget, when it died.
Status InflightLog::finish_last_batch(std::uint16_t used) {
  const auto batch = static_cast<std::uint16_t>(used - read_once(header_->used_idx));
  if (batch > size_) {
    return invalid("the in-flight region is that of another ring: its used index is far off");
  }
  std::uint16_t head = read_once(header_->last_batch_head);
  for (std::uint16_t i = 0; i < batch; ++i) {
    if (head >= size_) {
      return invalid("the in-flight region's list of used heads leaves the ring");
    }
    store_in_order(entries()[head].inflight, std::uint8_t{0});
    head = read_once(entries()[head].next);
  }
  store_in_order(header_->used_idx, used);
  return {};
}

Result<InflightLog::Recovered> InflightLog::recover(std::uint16_t used, std::uint16_t ring_size) {
  if (ring_size > size_) {
    return invalid("a ring of " + std::to_string(ring_size) +
                   " entries does not fit its in-flight region, which has " +
                   std::to_string(size_));
  }
  batch_.reserve(ring_size);
  if (read_once(header_->version) == 0) {
    begin(used);
    return Recovered{};
  }
  FALLOW_TRY(check_header());
  FALLOW_TRY(finish_last_batch(used));
  struct Taken {
    std::uint64_t counter;
    std::uint16_t head;
    bool operator<(const Taken& other) const { return counter < other.counter; }
  };
  std::vector<Taken> taken;
  for (std::uint16_t head = 0; head < size_; ++head) {
    if (read_once(entries()[head].inflight) != 0) {
      taken.push_back({read_once(entries()[head].counter), head});
    }
  }
  if (!taken.empty() && taken.back().head >= ring_size) {
    return invalid("the in-flight region has heads that its ring does not have");
  }
  std::stable_sort(taken.begin(), taken.end());
  Recovered result{true, {}};
  for (const Taken& one : taken) {
    result.heads.push_back(one.head);
  }
  counter_ = taken.empty() ? 0 : taken.back().counter + 1;
  last_given_back_ = read_once(header_->last_batch_head);
  return result;
}

void InflightLog::take(std::uint16_t head) {
  if (header_ != nullptr) {
    Entry& entry = entries()[head];
    store_in_order(entry.counter, counter_++);
    store_in_order(entry.inflight, std::uint8_t{1});
  }
}

void InflightLog::give_back(std::uint16_t head) {
  if (header_ != nullptr) {
    store_in_order(entries()[head].next, last_given_back_);
    store_in_order(header_->last_batch_head, head);
    last_given_back_ = head;
    batch_.push_back(head);
  }
}

void InflightLog::commit(std::uint16_t used) {
  if (header_ != nullptr) {
    for (const std::uint16_t head : batch_) {
      store_in_order(entries()[head].inflight, std::uint8_t{0});
    }
    batch_.clear();
    store_in_order(header_->used_idx, used);
  }
}

Status InflightRegion::check_shape(const Shape& shape) {
  if (shape.queues == 0 || shape.queues > kQueuesMax || shape.queue_size == 0 ||
      shape.queue_size > kQueueSizeMax) {
    return invalid("an in-flight region has 1 to " + std::to_string(kQueuesMax) +
                   " queues of 1 to " + std::to_string(kQueueSizeMax) + " entries, not " +
                   std::to_string(shape.queues) + " of " + std::to_string(shape.queue_size));
  }
  return {};
}

std::uint64_t InflightRegion::bytes_per_queue(const Shape& shape) {
  return round_up(sizeof(InflightLog::Header) + shape.queue_size * sizeof(InflightLog::Entry),
                  kAlignment);
}

std::uint64_t InflightRegion::size_bytes(const Shape& shape) {
  return round_up(shape.queues * bytes_per_queue(shape), kPageSize);
}

Result<UniqueFd> InflightRegion::make_file(const Shape& shape) {
  FALLOW_TRY(check_shape(shape));
  UniqueFd fd(::memfd_create("fallow-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size_bytes(shape))) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return failed_errno("cannot make an in-flight region", errno);
  }
  return fd;
}

Result<InflightRegion> InflightRegion::map(int fd, std::uint64_t offset, std::uint64_t size,
                                           const Shape& shape) {
  FALLOW_TRY(check_shape(shape));
  if (size < size_bytes(shape)) {
    return invalid("the in-flight region is smaller than its queues");
  }
  InflightRegion region;
  region.shape_ = shape;
  auto memory = ForeignMemory::map(fd, offset, size_bytes(shape));
  if (!memory) {
    return memory.error();
  }
  region.memory_ = std::move(*memory);
  return region;
}

Result<InflightLog> InflightRegion::log(std::uint32_t index) const {
  if (index >= shape_.queues) {
    return invalid("the in-flight region has no part for queue " + std::to_string(index));
  }
  InflightLog log;
  log.header_ =
      reinterpret_cast<InflightLog::Header*>(memory_.data() + index * bytes_per_queue(shape_));
  log.size_ = shape_.queue_size;
  return log;
}

}  // namespace fallow::vhost_user
