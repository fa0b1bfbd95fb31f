#include "frontend/vhost_user/session.h"

#include "base/check.h"

namespace fallow::vhost_user {
namespace {

// What one front end does to the loop before others get their turn.
constexpr unsigned kMessagesPerTurn = 16;

}  // namespace

Session::Session(const Export& exported, UniqueFd socket, Events events)
    : export_(exported),
      channel_(std::move(socket)),
      events_(std::move(events)),
      rings_(exported, *this),
      protocol_(exported.shape, rings_, channel_) {}

Session::~Session() {
  if (!ending_) {  // else the export itself may be gone already
    ignore_messages();
    export_.counters.connected.subtract(1);
  }
}

Status Session::start() {
  export_.counters.connected.add(1);
  export_.counters.connections.add(1);
  return read_messages();
}

// Messages.

Status Session::read_messages() {
  const auto watched = export_.loop->watch(channel_.fd(), [this] { on_readable(); });
  reading_ = watched.ok();
  return watched;
}

void Session::ignore_messages() {
  if (reading_) {
    export_.loop->unwatch(channel_.fd());
    reading_ = false;
  }
}

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
  if (Protocol::needs_quiet_rings(message.type())) {
    when_quiet([this] { carry_out(); });
    return false;
  }
  carry_out();
  return !ending_;
}

void Session::carry_out() {
  settle(protocol_.carry_out(channel_.message()));
}

// Answers the message. A request that failed ends the connection, unless the front end has asked to
// be told.
void Session::settle(const Status& status) {
  const Message& message = channel_.message();
  const bool acknowledge = protocol_.acknowledges(message);
  if (!status) {
    export_.counters.protocol_errors.add(1);
    log_export_event(export_, "vhost_user_request_refused", status.error().text);
  }
  Status sent;
  if (acknowledge) {
    sent = channel_.send(make_reply_u64(message.header, status ? 0 : 1));
  }
  channel_.next();
  if (!status && !acknowledge) {
    end("the front end sent a request that cannot be carried out");
  } else if (!sent) {
    end(sent.error().text);
  }
}

// Waiting for quiet, and the end.

void Session::post(std::function<void()> work) {
  export_.loop->post(
      [weak = weak_from_this(), stay = std::weak_ptr(stay_), work = std::move(work)] {
        if (stay.expired()) {
          return;  // it has moved: on this thread it may not even be looked at
        }
        if (const auto self = weak.lock()) {
          work();
        }
      });
}

void Session::leave_loop() {
  stay_ = std::make_shared<const char>();
  quiet_posted_ = false;
  rings_.leave_loop();
  if (reading_) {
    export_.loop->unwatch(channel_.fd());
  }
}

void Session::join_loop() {
  Status joined = rings_.join_loop();
  if (joined && reading_) {
    joined = read_messages();
  }
  if (!joined) {
    end(joined.error().text);
  }
  if (quiet_action_ && rings_.in_flight() == 0) {
    rings_idle();
  }
}

// Never runs `action` before it returns, as an action may destroy the session.
void Session::when_quiet(Action action) {
  quiet_action_ = std::move(action);
  rings_.pause();
  ignore_messages();
  if (rings_.in_flight() == 0) {
    rings_idle();
  }
}

void Session::rings_idle() {
  if (!quiet_posted_) {
    quiet_posted_ = true;
    post([this] { run_quiet_action(); });
  }
}

void Session::run_quiet_action() {
  quiet_posted_ = false;
  CHECK(rings_.in_flight() == 0);  // the rings are paused
  const Action action = std::exchange(quiet_action_, nullptr);
  rings_.flush();
  action();
  if (ending_) {
    return;
  }
  if (const auto watched = read_messages(); !watched) {
    end(watched.error().text);
    return;
  }
  rings_.resume();
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

void Session::rings_lost(std::string_view why) {
  export_.counters.protocol_errors.add(1);
  end(why);
}

void Session::end(std::string_view why) {
  if (ending_) {
    return;
  }
  ending_ = true;
  export_.counters.connected.subtract(1);
  log_export_event(export_, "vhost_user_disconnected", why);
  rings_.abandon();
  ignore_messages();
  channel_.close();
  events_.ending();
  when_quiet([this] { events_.ended(); });
}

}  // namespace fallow::vhost_user
