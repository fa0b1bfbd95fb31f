#include "frontend/vhost_user/session.h"

#include <cstring>

#include "base/check.h"
#include "base/log.h"

namespace fallow::vhost_user {
namespace {

// Bounds on what one front end does to the loop before others get their turn.
constexpr unsigned kMessagesPerTurn = 16;
constexpr unsigned kChainsPerTurn = 64;

bool needs_quiet_rings(RequestType type) {
  return type == RequestType::kSetMemTable || type == RequestType::kGetVringBase ||
         type == RequestType::kResetOwner || type == RequestType::kResetDevice;
}

}  // namespace

Session::Session(const Export& exported, UniqueFd socket, Events events)
    : export_(exported),
      begun_before_(exported.begun),
      channel_(std::move(socket)),
      events_(std::move(events)),
      scratch_(std::make_unique<Chain>()),
      rings_(exported.shape.queues_max) {}

Session::~Session() {
  CHECK(in_flight() == 0);
  if (!ending_) {  // else the export itself may be gone already
    unwatch_all();
    export_.counters.connected.subtract(1);
  }
}

Status Session::start() {
  export_.counters.connected.add(1);
  export_.counters.connections.add(1);
  reading_ = true;
  return export_.loop.watch(channel_.fd(), [this] { on_readable(); });
}

// Messages.

void Session::on_readable() {
  for (unsigned i = 0; i < kMessagesPerTurn; ++i) {
    const auto event = channel_.receive();
    if (!event) {
      export_.counters.protocol_errors.add(1);
      end(event.error().text);
      return;
    }
    if (*event == MessageChannel::Event::kClosed) {
      end("the front end closed the connection");
      return;
    }
    if (*event == MessageChannel::Event::kNothingYet || !process()) {
      return;
    }
  }
}

bool Session::process() {
  const Message& message = channel_.message();
  if (const auto shape = check_shape(message.header, message.fds.size()); !shape) {
    settle(shape);
    return !ending_;
  }
  if (needs_quiet_rings(message.type())) {
    when_quiet([this] { carry_out(); });
    return false;
  }
  carry_out();
  return !ending_;
}

void Session::carry_out() {
  settle(dispatch(channel_.message()));
}

// Answers the message. A request that failed ends the connection, unless the front end has asked to
// be told.
void Session::settle(const Status& status) {
  const Message& message = channel_.message();
  const bool acknowledge = message.wants_ack() && !has_own_reply(message.type()) &&
                           (protocol_features_ & bit(kProtocolFeatureReplyAck)) != 0;
  if (!status) {
    export_.counters.protocol_errors.add(1);
    log_event("vhost_user_request_refused", status.error().text);
  }
  Status sent;
  if (acknowledge) {
    sent = reply_u64(message, status ? 0 : 1);
  }
  channel_.next();
  if (!status && !acknowledge) {
    end("the front end sent a request that cannot be carried out");
  } else if (!sent) {
    end(sent.error().text);
  }
}

Status Session::dispatch(Message& message) {
  switch (message.type()) {
    case RequestType::kGetFeatures:
      return reply_u64(message, offered_features());
    case RequestType::kSetFeatures:
      return set_features(decode_u64(message));
    case RequestType::kSetOwner:
      return {};
    case RequestType::kResetOwner:
    case RequestType::kResetDevice:
      reset_rings();
      return {};
    case RequestType::kSetMemTable:
      return set_memory_table(message);
    case RequestType::kGetProtocolFeatures:
      return reply_u64(message, offered_protocol_features());
    case RequestType::kSetProtocolFeatures:
      return set_protocol_features(decode_u64(message));
    case RequestType::kGetQueueNum:
      return reply_u64(message, export_.shape.queues_max);
    case RequestType::kGetConfig:
      return get_config(message);
    case RequestType::kSetConfig:
      return invalid("nothing in the configuration space can be written");
    default:
      return dispatch_vring(message);
  }
}

Status Session::dispatch_vring(Message& message) {
  if (message.type() == RequestType::kSetVringKick) {
    return set_vring_kick(message);
  }
  const bool brings_fd =
      message.type() == RequestType::kSetVringCall || message.type() == RequestType::kSetVringErr;
  UniqueFd fd;
  if (brings_fd) {
    const auto decoded = decode_vring_fd(message);
    FALLOW_TRY(decoded);
    if (decoded->has_fd) {
      auto adopted = adopt_eventfd(std::move(message.fds.front()));
      if (!adopted) {
        return adopted.error();
      }
      fd = std::move(*adopted);
    }
  }
  const VringState state = decode_vring_state(message);
  const auto found = find_ring(brings_fd ? state.index & 0xff : state.index);
  FALLOW_TRY(found);
  Vring& ring = **found;
  switch (message.type()) {
    case RequestType::kSetVringCall:
      ring.set_call(std::move(fd));
      return {};
    case RequestType::kSetVringErr:
      ring.set_error(std::move(fd));
      return {};
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

Status Session::set_features(std::uint64_t features) {
  if ((features & ~offered_features()) != 0) {
    return invalid("the front end acknowledged features that were not offered");
  }
  features_ = features;
  return {};
}

Status Session::set_protocol_features(std::uint64_t features) {
  if ((features & ~offered_protocol_features()) != 0) {
    return invalid("the front end acknowledged protocol features that were not offered");
  }
  protocol_features_ = features;
  return {};
}

// Nothing is in flight. A table that is refused leaves the old one in force.
Status Session::set_memory_table(Message& message) {
  const auto table = decode_memory_table(message);
  FALLOW_TRY(table);
  auto memory = GuestMemory::map(table->span(), message.fds);
  if (!memory) {
    return memory.error();
  }
  memory_ = std::move(*memory);
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    Vring& ring = rings_[index];
    if (ring.started() && !ring.queue()->remap()) {
      log_event("vhost_user_ring_lost_its_memory", std::to_string(index));
      export_.loop.unwatch(ring.kick_fd());
      ring.signal_error();
      ring.stop();
    }
  }
  return {};
}

Status Session::get_config(const Message& message) {
  const auto window = decode_config_window(message);
  if (!window) {  // an empty reply is the protocol's word for an error
    return channel_.send(make_reply(message.header, {}));
  }
  std::array<std::byte, kConfigSizeMax> space{};
  const virtio_blk_config config = make_config(export_.shape);
  static_assert(sizeof config <= kConfigSizeMax);
  std::memcpy(space.data(), &config, sizeof config);
  std::array<std::byte, kPayloadMax> payload{};
  std::memcpy(payload.data(), &*window, sizeof *window);
  std::memcpy(payload.data() + sizeof *window, space.data() + window->offset, window->size);
  return channel_.send(make_reply(message.header, {payload.data(), message.header.size}));
}

Status Session::set_vring_kick(Message& message) {
  const auto decoded = decode_vring_fd(message);
  FALLOW_TRY(decoded);
  const auto found = find_ring(decoded->index);
  FALLOW_TRY(found);
  if (!decoded->has_fd) {
    return invalid("a ring without kick descriptor would have to be polled, which is not done");
  }
  auto kick = adopt_eventfd(std::move(message.fds.front()));
  if (!kick) {
    return kick.error();
  }
  Vring& ring = **found;
  if (ring.started()) {
    export_.loop.unwatch(ring.kick_fd());
  }
  FALLOW_TRY(check_beginning(ring));
  FALLOW_TRY(ring.start(std::move(*kick), features_, environment()));
  export_.begun = true;
  const std::uint32_t index = decoded->index;
  serve_soon(index);  // what was made available before the kick descriptor came
  return export_.loop.watch(ring.kick_fd(), [this, index] { on_kick(index); });
}

// A guest that was running before this disk was made (the daemon was restarted, or the guest has
// migrated here) believes its pages to be on it, and would read zeros. Its rings go on where they
// were; a guest that begins has them at 0.
Status Session::check_beginning(const Vring& ring) const {
  if (ring.base() == 0 || ring.begun() || begun_before_) {
    return {};
  }
  return invalid(
      "the guest was using this disk before the daemon had it, and its pages are not"
      " here: restart the guest");
}

Status Session::set_vring_enable(const VringState& state) {
  if (state.value > 1) {
    return invalid("a ring can be enabled with 1 or disabled with 0 only");
  }
  rings_[state.index].set_enabled(state.value == 1);
  serve_soon(state.index);
  return {};
}

Status Session::get_vring_base(const Message& message, std::uint32_t index) {
  Vring& ring = rings_[index];
  if (ring.started()) {
    ring.flush();
    export_.loop.unwatch(ring.kick_fd());
  }
  const VringState state{index, ring.stop()};
  return channel_.send(make_reply(message.header, std::as_bytes(std::span(&state, 1))));
}

Result<Vring*> Session::find_ring(std::uint32_t index) {
  if (index >= rings_.size()) {
    return invalid("queue " + std::to_string(index) + " does not exist: there are " +
                   std::to_string(rings_.size()));
  }
  return &rings_[index];
}

Status Session::reply_u64(const Message& message, std::uint64_t value) {
  return channel_.send(make_reply_u64(message.header, value));
}

// RESET_OWNER is obsolete and means different things to different front ends; stopped rings satisfy
// all of them.
void Session::reset_rings() {
  for (Vring& ring : rings_) {
    if (ring.started()) {
      export_.loop.unwatch(ring.kick_fd());
    }
    ring.reset();
  }
}

// Rings.

BlockQueue::Environment Session::environment() {
  return {export_.device, export_.shape, memory_, *scratch_, export_.counters, *this};
}

bool Session::serves(const Vring& ring) const {
  const bool enabled = ring.enabled() || (features_ & bit(kFeatureProtocolFeatures)) == 0;
  return ring.started() && enabled && !ring.queue()->broken() && !quiet_action_ && !ending_;
}

void Session::on_kick(std::uint32_t index) {
  drain_eventfd(rings_[index].kick_fd());
  serve(index);
}

void Session::serve(std::uint32_t index) {
  Vring& ring = rings_[index];
  if (!serves(ring)) {
    return;
  }
  ++turns_;
  const auto served = ring.serve(kChainsPerTurn);
  --turns_;
  if (served == BlockQueue::Served::kBroken) {
    log_event("vhost_user_queue_broken", std::to_string(index));
    ring.flush();
    ring.signal_error();
  } else if (served == BlockQueue::Served::kSome) {
    serve_soon(index);
  }
  after_turn();
}

void Session::serve_soon(std::uint32_t index) {
  export_.loop.post([weak = weak_from_this(), index] {
    if (const auto self = weak.lock()) {
      self->serve(index);
    }
  });
}

void Session::serve_all_soon() {
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    if (rings_[index].started()) {
      serve_soon(index);
    }
  }
}

void Session::poll_device() {
  ++turns_;
  export_.device.poll();
  --turns_;
  flush_rings();
  after_turn();
}

void Session::flush_rings() {
  flush_posted_ = false;
  for (Vring& ring : rings_) {
    if (ring.started()) {
      ring.flush();
    }
  }
}

void Session::after_turn() {
  if (!ending_ && memory_.broken()) {
    export_.counters.protocol_errors.add(1);
    end("the front end took guest memory away while it was in use");
  }
}

void Session::request_done() {
  if (turns_ == 0 && !flush_posted_) {
    flush_posted_ = true;
    post([](Session& self) { self.flush_rings(); });
  }
  if (quiet_action_ && in_flight() == 0 && !quiet_posted_) {
    quiet_posted_ = true;
    post([](Session& self) { self.run_quiet_action(); });
  }
}

// Waiting for quiet, and the end.

std::uint64_t Session::in_flight() const {
  std::uint64_t sum = 0;
  for (const Vring& ring : rings_) {
    sum += ring.started() ? ring.queue()->in_flight() : 0;
  }
  return sum;
}

void Session::post(void (*work)(Session&)) {
  export_.loop.post([weak = weak_from_this(), work] {
    if (const auto self = weak.lock()) {
      work(*self);
    }
  });
}

// Never runs `action` before it returns, as an action may destroy the session.
void Session::when_quiet(Action action) {
  quiet_action_ = std::move(action);
  if (reading_) {
    export_.loop.unwatch(channel_.fd());
    reading_ = false;
  }
  if (in_flight() == 0 && !quiet_posted_) {
    quiet_posted_ = true;
    post([](Session& self) { self.run_quiet_action(); });
  }
}

void Session::run_quiet_action() {
  quiet_posted_ = false;
  CHECK(in_flight() == 0);  // the rings are paused
  const Action action = std::exchange(quiet_action_, nullptr);
  flush_rings();
  action();
  if (ending_) {
    return;
  }
  reading_ = true;
  if (const auto watched = export_.loop.watch(channel_.fd(), [this] { on_readable(); }); !watched) {
    reading_ = false;
    end(watched.error().text);
    return;
  }
  serve_all_soon();
}

void Session::shut_down() {
  if (!ending_) {
    when_quiet([this] { end("the export stops"); });
  }
}

void Session::check_hang_up() {
  if (channel_.hung_up()) {
    end("the front end closed the connection");
  }
}

// The peer may already work on its rings without us, so nothing is shown to it any more.
void Session::end(std::string_view why) {
  if (ending_) {
    return;
  }
  ending_ = true;
  export_.counters.connected.subtract(1);
  log_event("vhost_user_disconnected", why);
  for (Vring& ring : rings_) {
    if (ring.started()) {
      ring.queue()->abandon();
    }
  }
  unwatch_all();
  channel_.close();
  events_.ending();
  when_quiet([this] { events_.ended(); });
}

void Session::unwatch_all() {
  if (reading_) {
    export_.loop.unwatch(channel_.fd());
    reading_ = false;
  }
  for (const Vring& ring : rings_) {
    if (ring.started()) {
      export_.loop.unwatch(ring.kick_fd());
    }
  }
}

void Session::log_event(std::string_view event, std::string_view detail) const {
  log_info(event, {{"export", export_.name}, {"detail", detail}});
}

}  // namespace fallow::vhost_user
