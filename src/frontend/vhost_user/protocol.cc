#include "frontend/vhost_user/protocol.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "frontend/vhost_user/eventfd.h"

namespace fallow::vhost_user {

bool Protocol::needs_quiet_rings(RequestType type) {
  return type == RequestType::kSetMemTable || type == RequestType::kRemMemReg ||
         type == RequestType::kGetVringBase || type == RequestType::kResetOwner ||
         type == RequestType::kResetDevice;
}

bool Protocol::acknowledges(const Message& message) const {
  return message.wants_ack() && !has_own_reply(message.type()) &&
         negotiated(kProtocolFeatureReplyAck);
}

Status Protocol::carry_out(Message& message) {
  switch (message.type()) {
    case RequestType::kGetFeatures:
      return answer(message, offered_features(shape_));
    case RequestType::kSetFeatures:
      return set_features(decode_u64(message));
    case RequestType::kSetOwner:
      return {};
    // RESET_OWNER is obsolete and means different things to different front ends; stopped rings
    // satisfy all of them.
    case RequestType::kResetOwner:
    case RequestType::kResetDevice:
      rings_.reset();
      return {};
    case RequestType::kSetMemTable:
      return set_memory_table(message);
    case RequestType::kGetProtocolFeatures:
      return answer(message, offered_protocol_features(shape_));
    case RequestType::kSetProtocolFeatures:
      return set_protocol_features(decode_u64(message));
    case RequestType::kGetQueueNum:
      return answer(message, shape_.queues_max);
    case RequestType::kGetConfig:
      return get_config(message);
    case RequestType::kSetConfig:
      return invalid("nothing in the configuration space can be written");
    case RequestType::kSetLogBase:
      return set_log_base(message);
    case RequestType::kSetLogFd:
      return set_log_fd(message);
    case RequestType::kSetBackendReqFd:
      return set_backend_channel(message);
    case RequestType::kGetMaxMemSlots:
      return answer(message, GuestMemory::kSlotsMax);
    case RequestType::kAddMemReg:
      return add_memory_region(message);
    case RequestType::kRemMemReg:  // some front ends send the file along; it is not used
      return rings_.remove_memory(decode_single_region(message));
    case RequestType::kGetInflightFd:
      return get_inflight_fd(message);
    case RequestType::kSetInflightFd:
      return set_inflight_fd(message);
    default:
      return carry_out_on_ring(message);
  }
}

Status Protocol::carry_out_on_ring(Message& message) {
  switch (message.type()) {
    case RequestType::kSetVringKick:
      return set_vring_kick(message);
    case RequestType::kSetVringCall:
    case RequestType::kSetVringErr:
      return set_vring_call_or_error(message);
    default:
      break;
  }
  const VringState state = decode_vring_state(message);
  const auto found = rings_.find(state.index);
  FALLOW_TRY(found);
  Vring& ring = **found;
  switch (message.type()) {
    case RequestType::kSetVringNum:
      return ring.set_size(state.value);
    case RequestType::kSetVringAddr:
      return ring.set_addresses(decode_vring_address(message));
    case RequestType::kSetVringBase:
      return ring.set_base(state.value);
    case RequestType::kSetVringEnable:
      return set_vring_enable(state);
    case RequestType::kGetVringBase:
      return get_vring_base(message, state.index);
    default:
      return invalid("vhost-user request is not implemented");
  }
}

Status Protocol::set_features(std::uint64_t features) {
  if ((features & ~offered_features(shape_)) != 0) {
    return invalid("the front end acknowledged features that were not offered");
  }
  return rings_.set_features(features);
}

Status Protocol::set_protocol_features(std::uint64_t features) {
  if ((features & ~offered_protocol_features(shape_)) != 0) {
    return invalid("the front end acknowledged protocol features that were not offered");
  }
  protocol_features_ = features;
  return {};
}

Status Protocol::set_memory_table(Message& message) {
  const auto table = decode_memory_table(message);
  FALLOW_TRY(table);
  return rings_.set_memory(table->span(), message.fds);
}

Status Protocol::add_memory_region(const Message& message) {
  if (message.fds.size() != 1) {
    return invalid("a memory region comes without its file");
  }
  return rings_.add_memory(decode_single_region(message), message.fds.front().get());
}

// Answered only when the log is in use: a failure ends the connection, as front ends do not look
// into the answer, and would believe that everything is being logged.
Status Protocol::set_log_base(const Message& message) {
  FALLOW_TRY(check_negotiated(kProtocolFeatureLogShmfd));
  if (message.fds.size() != 1) {
    return invalid("a dirty log comes without its file");
  }
  FALLOW_TRY(rings_.set_log(message.fds.front().get(), decode_log(message)));
  return answer(message, 0);
}

Status Protocol::set_log_fd(Message& message) {
  if (message.fds.empty()) {
    rings_.set_log_notifier({});
    return {};
  }
  auto eventfd = adopt_eventfd(std::move(message.fds.front()));
  if (!eventfd) {
    return eventfd.error();
  }
  rings_.set_log_notifier(std::move(*eventfd));
  return {};
}

// The front end makes a pair of sockets for it, so that its peer has no name. One that has is not
// for us: most of all the front end's own end of this connection, which would live as long as we
// hold it.
Status Protocol::set_backend_channel(Message& message) {
  FALLOW_TRY(check_negotiated(kProtocolFeatureBackendReq));
  sockaddr_un name{};
  socklen_t size = sizeof name;
  if (message.fds.size() != 1 ||
      ::getpeername(message.fds.front().get(), reinterpret_cast<sockaddr*>(&name), &size) != 0 ||
      name.sun_family != AF_UNIX || size != sizeof name.sun_family) {
    return invalid("the channel for a back end's requests is not one of a pair of Unix sockets");
  }
  backend_channel_ = std::move(message.fds.front());
  return {};
}

// A front end that does not read is not waited for: it sees the change when it asks next.
void Protocol::config_changed() {
  if (backend_channel_.valid()) {
    const Reply request = make_backend_request(BackendRequestType::kConfigChange);
    [[maybe_unused]] const ssize_t sent = ::send(backend_channel_.get(), request.bytes.data(),
                                                 request.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

Status Protocol::get_config(const Message& message) {
  const auto window = decode_config_window(message);
  if (!window) {  // an empty reply is the protocol's word for an error
    return channel_.send(make_reply(message.header, {}));
  }
  std::array<std::byte, kConfigSizeMax> space{};
  const virtio_blk_config config = make_config(shape_);
  static_assert(sizeof config <= kConfigSizeMax);
  std::memcpy(space.data(), &config, sizeof config);
  std::array<std::byte, kPayloadMax> payload{};
  std::memcpy(payload.data(), &*window, sizeof *window);
  std::memcpy(payload.data() + sizeof *window, space.data() + window->offset, window->size);
  return channel_.send(make_reply(message.header, {payload.data(), message.header.size}));
}

bool Protocol::negotiated(unsigned protocol_feature) const {
  const std::uint64_t in_force = protocol_features_.value_or(offered_protocol_features(shape_));
  return (in_force & bit(protocol_feature)) != 0;
}

Status Protocol::check_negotiated(unsigned protocol_feature) const {
  if (!negotiated(protocol_feature)) {
    return invalid("vhost-user request belongs to protocol feature " +
                   std::to_string(protocol_feature) + ", which was not acknowledged");
  }
  return {};
}

// The front end keeps the file and brings it back; until then it is of no interest here.
Status Protocol::get_inflight_fd(const Message& message) {
  FALLOW_TRY(check_negotiated(kProtocolFeatureInflightShmfd));
  InflightDescription description = decode_inflight(message);
  const InflightRegion::Shape shape{description.queues, description.queue_size};
  const auto file = InflightRegion::make_file(shape);
  FALLOW_TRY(file);
  description.size = InflightRegion::size_bytes(shape);
  description.offset = 0;
  const auto payload = std::as_bytes(std::span(&description, 1)).first(message.header.size);
  return channel_.send(make_reply(message.header, payload), file->get());
}

Status Protocol::set_inflight_fd(const Message& message) {
  FALLOW_TRY(check_negotiated(kProtocolFeatureInflightShmfd));
  if (message.fds.size() != 1) {
    return invalid("an in-flight region comes without its file");
  }
  const InflightDescription description = decode_inflight(message);
  auto region = InflightRegion::map(message.fds.front().get(), description.offset, description.size,
                                    {description.queues, description.queue_size});
  if (!region) {
    return region.error();
  }
  return rings_.set_inflight_region(std::move(*region));
}

Status Protocol::set_vring_kick(Message& message) {
  const auto decoded = decode_vring_fd(message);
  FALLOW_TRY(decoded);
  if (!decoded->has_fd) {
    return invalid("a ring without kick descriptor would have to be polled, which is not done");
  }
  auto kick = adopt_eventfd(std::move(message.fds.front()));
  if (!kick) {
    return kick.error();
  }
  return rings_.start(decoded->index, std::move(*kick));
}

Status Protocol::set_vring_call_or_error(Message& message) {
  const auto decoded = decode_vring_fd(message);
  FALLOW_TRY(decoded);
  const auto found = rings_.find(decoded->index);
  FALLOW_TRY(found);
  UniqueFd fd;
  if (decoded->has_fd) {
    auto adopted = adopt_eventfd(std::move(message.fds.front()));
    if (!adopted) {
      return adopted.error();
    }
    fd = std::move(*adopted);
  }
  if (message.type() == RequestType::kSetVringCall) {
    (*found)->set_call(std::move(fd));
  } else {
    (*found)->set_error(std::move(fd));
  }
  return {};
}

Status Protocol::set_vring_enable(const VringState& state) {
  if (state.value > 1) {
    return invalid("a ring can be enabled with 1 or disabled with 0 only");
  }
  return rings_.set_enabled(state.index, state.value == 1);
}

Status Protocol::get_vring_base(const Message& message, std::uint32_t index) {
  const auto base = rings_.stop(index);
  FALLOW_TRY(base);
  const VringState state{index, *base};
  return channel_.send(make_reply(message.header, std::as_bytes(std::span(&state, 1))));
}

Status Protocol::answer(const Message& message, std::uint64_t value) {
  return channel_.send(make_reply_u64(message.header, value));
}

}  // namespace fallow::vhost_user
