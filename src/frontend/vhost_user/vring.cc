#include "frontend/vhost_user/vring.h"

#include "frontend/vhost_user/eventfd.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {

Status Vring::check_stopped() const {
  if (started()) {
    return invalid("a started ring cannot be set up anew: stop it with GET_VRING_BASE first");
  }
  return {};
}

Status Vring::set_size(std::uint32_t size) {
  FALLOW_TRY(check_stopped());
  FALLOW_TRY(Virtqueue::check_size(size));
  size_ = size;
  return {};
}

Status Vring::set_addresses(const VringAddress& addresses) {
  if ((addresses.flags & ~kVringFlagLog) != 0) {
    return invalid("a ring's addresses have unknown flags");
  }
  const bool same = addresses_ && addresses_->descriptors == addresses.descriptors &&
                    addresses_->used == addresses.used &&
                    addresses_->available == addresses.available;
  if (!same) {
    FALLOW_TRY(check_stopped());
  }
  addresses_ = addresses;
  apply_used_log();
  return {};
}

bool Vring::logs_used_ring() const {
  return addresses_ && (addresses_->flags & kVringFlagLog) != 0;
}

void Vring::apply_used_log() {
  if (started()) {
    queue_->log_used_ring(logs_used_ring(), addresses_->log);
  }
}

Status Vring::set_base(std::uint32_t base) {
  FALLOW_TRY(check_stopped());
  if (base > UINT16_MAX) {
    return invalid("a ring's base is larger than 65535");
  }
  base_ = static_cast<std::uint16_t>(base);
  return {};
}

void Vring::set_call(UniqueFd call) {
  call_ = std::move(call);
  if (call_.valid()) {
    signal_eventfd(call_.get());
  }
}

Status Vring::start(UniqueFd kick, std::uint64_t features, InflightLog inflight,
                    const BlockQueue::Environment& environment) {
  if (!started()) {
    if (!addresses_) {
      return invalid("a ring is started before its addresses are set");
    }
    Virtqueue::Settings settings;
    settings.size = size_;
    settings.addresses = *addresses_;
    settings.base = base_;
    settings.event_index = (features & bit(VIRTIO_RING_F_EVENT_IDX)) != 0;
    settings.indirect = (features & bit(VIRTIO_RING_F_INDIRECT_DESC)) != 0;
    settings.inflight = std::move(inflight);
    auto ring = Virtqueue::map(environment.memory, settings);
    if (!ring) {
      return ring.error();
    }
    queue_ = std::make_unique<BlockQueue>(std::move(*ring), environment);
    apply_used_log();
  }
  kick_ = std::move(kick);
  begun_ = true;
  return {};
}

std::uint16_t Vring::stop() {
  if (started()) {
    base_ = queue_->next_available();
    queue_.reset();
    kick_.reset();
  }
  return base_;
}

void Vring::reset() {
  stop();
  *this = Vring();
}

void Vring::signal_error() {
  if (error_.valid()) {
    signal_eventfd(error_.get());
  }
}

}  // namespace fallow::vhost_user
