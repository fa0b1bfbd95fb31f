#include "frontend/ring/session.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/log.h"

namespace fallow::ring {
namespace {

// Bounds on what one client does to the loop before others get their turn.
constexpr unsigned kMessagesPerTurn = 16;
// Of all queues of one client: enough for each virtual CPU of a large host to have one of 256.
constexpr std::uint32_t kEntriesOfClientMax = 16 * 1024;

}  // namespace

Session::Session(LoopSeat& seat, Poller& poller, Connection connection,
                 std::unique_ptr<Attachment> attachment, Ended ended)
    : seat_(seat),
      poller_(poller),
      connection_(std::move(connection)),
      channel_(std::move(connection_.socket)),
      ended_(std::move(ended)),
      attachment_(std::move(attachment)),
      regions_(connection_.shared->regions) {
  connection_.shared->counters.connected.fetch_add(1);
  connection_.shared->counters.connections.fetch_add(1);
}

Session::~Session() {
  CHECK(in_flight() == 0);
  stop_reading();
  connection_.shared->counters.connected.fetch_sub(1);
}

void Session::start() {
  auto welcome = make_message<Welcome>();
  welcome.version = connection_.version;
  welcome.queues_max = kQueuesMax;
  welcome.regions_max = kRegionsMax;
  welcome.region_bytes_max = kRegionBytesMax;
  welcome.epoch = connection_.epoch.value;
  attachment_->introduce(welcome);
  log_info("ring_client_connected", {{"client", connection_.name}, {"uid", connection_.uid}});
  if (const auto sent = channel_.send(welcome); !sent) {
    end(End::kLost, sent.error().text);
  } else if (const auto watched = read_socket(); !watched) {
    end(End::kLost, watched.error().text);
  }
}

// Messages.

void Session::on_readable() {
  for (unsigned i = 0; i < kMessagesPerTurn && reading_; ++i) {
    const auto event = channel_.receive();
    if (!event) {
      cut_off(event.error().text);
      return;
    }
    if (*event == ControlChannel::Event::kNothingYet) {
      return;
    }
    if (*event == ControlChannel::Event::kClosed) {
      end(End::kLost, "it closed the connection");
      return;
    }
    if (const auto followed = dispatch(); !followed) {
      const Error& error = followed.error();
      error.code == ErrorCode::kInvalid ? cut_off(error.text) : end(End::kLost, error.text);
      return;
    }
    channel_.close_received();
  }
}

Status Session::dispatch() {
  switch (channel_.type()) {
    case ControlType::kOpenQueue:
      return open_queue();
    case ControlType::kCloseQueue:
      return close_queue();
    case ControlType::kRegister:
      return add_region();
    case ControlType::kUnregister:
      return remove_region();
    case ControlType::kKeep:
      return keep_pages();
    case ControlType::kGoodbye:
      end(End::kForGood, "it said goodbye");
      return {};
    default:
      return invalid("it sent a control message that is the daemon's to send, or a second Hello");
  }
}

Status Session::refuse(int error, std::string_view why) {
  return channel_.send(make_refused(error, why));
}

Status Session::open_queue() {
  const auto message = channel_.read<OpenQueue>();
  if (message.reserved != 0) {
    return refuse(EINVAL, "a reserved field is not zero");
  }
  const auto free = std::find_if(slots_.begin(), slots_.end(),
                                 [](const Slot& slot) { return slot.queue == nullptr; });
  if (free == slots_.end()) {
    return refuse(ENOSPC, "a client has at most " + std::to_string(kQueuesMax) + " queues");
  }
  if (const auto valid = QueuePair::check_entries(message.entries); !valid) {
    return refuse(EINVAL, valid.error().text);
  }
  auto number = Lease::take(connection_.shared->queues, 1);
  auto entries = Lease::take(connection_.shared->queue_entries, message.entries);
  if (!number || !entries || message.entries > kEntriesOfClientMax - entries_) {
    return refuse(ENOSPC, "there are as many queue entries as the daemon allows");
  }
  auto pair = QueuePair::create(message.entries);
  if (!pair) {
    return refuse(errno_of(pair.error().code), pair.error().text);
  }
  auto queue =
      std::make_unique<Queue>(std::move(*pair), *attachment_, regions_,
                              connection_.shared->counters, static_cast<Queue::Owner&>(*this));
  Queue& made = *queue;
  const int doorbell = made.pair().doorbell_fd();
  if (const auto watched = seat_.watch(doorbell, [this, &made] { poller_.wake(made); }); !watched) {
    return refuse(ENOSPC, watched.error().text);
  }
  *free = {std::move(queue), std::move(*number), std::move(*entries)};
  entries_ += message.entries;
  auto opened = make_message<QueueOpened>();
  opened.queue = static_cast<std::uint32_t>(free - slots_.begin());
  opened.entries = message.entries;
  opened.bytes = queue_bytes(message.entries);
  const int fds[] = {made.pair().memory_fd(), doorbell};
  FALLOW_TRY(channel_.send(opened, fds));
  made.pair().close_memory_fd();
  poller_.wake(made);
  return {};
}

Status Session::close_queue() {
  const auto message = channel_.read<CloseQueue>();
  if (message.queue >= slots_.size() || slots_[message.queue].queue == nullptr ||
      message.reserved != 0) {
    return refuse(EINVAL, "there is no queue " + std::to_string(message.queue));
  }
  retire(message.queue);
  closing_queue_ = message.queue;
  check_waiting();
  return {};
}

Status Session::add_region() {
  const auto message = channel_.read<Register>();
  const auto token = regions_.add(channel_.fd_received(), message.bytes);
  if (!token) {
    return refuse(errno_of(token.error().code), token.error().text);
  }
  auto registered = make_message<Registered>();
  registered.token = *token;
  return channel_.send(registered);
}

Status Session::remove_region() {
  const auto message = channel_.read<Unregister>();
  if (message.reserved != 0 || !regions_.close(message.token)) {
    return refuse(EINVAL, "there is no region " + std::to_string(message.token));
  }
  closing_region_ = message.token;
  check_waiting();
  return {};
}

Status Session::keep_pages() {
  const auto message = channel_.read<Keep>();
  if (message.reserved != 0) {
    return refuse(EINVAL, "a reserved field is not zero");
  }
  if (const auto kept = attachment_->keep(message.seconds); !kept) {
    return refuse(errno_of(kept.error().code), kept.error().text);
  }
  return channel_.send(make_message<Done>());
}

// Queues.

void Session::queue_broken(const char* why) {
  cut_off(why);
}

bool Session::memory_intact() {
  if (ending_) {
    return false;
  }
  if (regions_.broken()) {
    cut_off("it took memory away that it had registered");
    return false;
  }
  return true;
}

void Session::entry_done() {
  if (ending_ || waits()) {
    schedule_check();
  }
}

std::uint64_t Session::in_flight() const {
  std::uint64_t sum = 0;
  for (const Slot& slot : slots_) {
    sum += slot.queue != nullptr ? slot.queue->in_flight() : 0;
  }
  return sum;
}

// It takes nothing any more; what is in flight stays so.
void Session::retire(std::uint32_t number) {
  Queue& queue = *slots_[number].queue;
  if (!queue.retired()) {
    queue.retire();
    poller_.remove(queue);
    seat_.unwatch(queue.pair().doorbell_fd());
  }
}

// Waiting, and the end.

// Never within a queue's turn, as queues may be destroyed.
void Session::schedule_check() {
  if (!check_scheduled_) {
    check_scheduled_ = true;
    seat_.soon([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->check_scheduled_ = false;
        self->check_waiting();
      }
    });
  }
}

void Session::check_waiting() {
  if (ending_) {
    if (in_flight() == 0) {
      if (const Ended ended = std::exchange(ended_, nullptr)) {
        ended(*this, end_);
      }
    }
    return;
  }
  const bool busy = (closing_queue_ != kNone && slots_[closing_queue_].queue->in_flight() != 0) ||
                    (closing_region_ != 0 && regions_.pinned(closing_region_));
  if (waits() && busy) {
    stop_reading();
  } else if (waits()) {
    finish_waiting();
  }
}

void Session::finish_waiting() {
  if (closing_queue_ != kNone) {
    entries_ -= slots_[closing_queue_].queue->pair().entries();
    slots_[closing_queue_] = {};
    closing_queue_ = kNone;
  } else {
    regions_.remove(closing_region_);
    closing_region_ = 0;
  }
  Status status = channel_.send(make_message<Done>());
  if (status) {
    status = read_socket();
  }
  if (!status) {
    end(End::kLost, status.error().text);
  }
}

Status Session::read_socket() {
  if (reading_) {
    return {};
  }
  FALLOW_TRY(seat_.watch(channel_.fd(), [this] { on_readable(); }));
  reading_ = true;
  return {};
}

void Session::stop_reading() {
  if (reading_) {
    seat_.unwatch(channel_.fd());
    reading_ = false;
  }
}

void Session::shut_down() {
  end(End::kByDaemon, "the daemon stops");
}

void Session::cut_off(std::string_view why) {
  if (!ending_) {
    connection_.shared->counters.cut_off.fetch_add(1);
    log_warning("ring_client_cut_off", {{"client", connection_.name}, {"detail", why}});
    end(End::kForGood, "it broke the rules");
  }
}

void Session::end(End how, std::string_view why) {
  if (ending_) {
    return;
  }
  ending_ = true;
  end_ = how;
  log_info("ring_client_gone", {{"client", connection_.name}, {"detail", why}});
  stop_reading();
  channel_.close();
  for (std::uint32_t number = 0; number < slots_.size(); ++number) {
    if (slots_[number].queue != nullptr) {
      retire(number);
    }
  }
  schedule_check();
}

}  // namespace fallow::ring
