#include "frontend/vhost_user/vhost_user_blk.h"

#include <sys/socket.h>

#include "base/log.h"

namespace fallow {
namespace {

constexpr int kBacklog = 4;
constexpr unsigned kQueuesMax = 256;  // the protocol's queue number has eight bits

}  // namespace

VhostUserBlk::VhostUserBlk(EventLoop& loop, BlockDevice& device, ExportOptions options)
    : loop_(&loop),
      device_(device),
      options_(std::move(options)),
      shape_(vhost_user::make_shape(device, options_.queues_max, options_.serial)),
      begun_(options_.recovered) {
  shape_.migratable = options_.migratable;
}

Result<std::unique_ptr<VhostUserBlk>> VhostUserBlk::create(EventLoop& loop, BlockDevice& device,
                                                           ExportOptions options) {
  if (options.queues_max == 0 || options.queues_max > kQueuesMax) {
    return invalid("an export has 1 to " + std::to_string(kQueuesMax) + " queues, not " +
                   std::to_string(options.queues_max));
  }
  std::unique_ptr<VhostUserBlk> result(new VhostUserBlk(loop, device, std::move(options)));
  FALLOW_TRY(result->watch_device());
  FALLOW_TRY(result->listen());
  return result;
}

VhostUserBlk::~VhostUserBlk() {
  session_.reset();
  unwatch_listener();
  if (device_watched_) {
    loop_->unwatch(device_.event_fd());
  }
  if (listener_.valid()) {
    options_.listeners->close(options_.socket_path);
  }
}

Status VhostUserBlk::watch_device() {
  if (device_.event_fd() < 0) {
    return {};
  }
  FALLOW_TRY(loop_->watch(device_.event_fd(), [this] { on_device(); }));
  device_watched_ = true;
  return {};
}

Status VhostUserBlk::listen() {
  if (options_.socket_path.empty()) {
    return {};
  }
  auto listener = options_.listeners->open(options_.socket_path, kBacklog, UnixSocket::kStream);
  if (!listener) {
    return listener.error();
  }
  listener_ = std::move(*listener);
  watch_listener();
  return {};
}

void VhostUserBlk::watch_listener() {
  if (listener_.valid() && !listening_) {
    listening_ = loop_->watch(listener_.get(), [this] { on_connection(); }).ok();
  }
}

void VhostUserBlk::unwatch_listener() {
  if (listening_) {
    loop_->unwatch(listener_.get());
    listening_ = false;
  }
}

void VhostUserBlk::on_device() {
  if (session_) {
    session_->poll_device();
  } else {
    device_.poll();
  }
}

void VhostUserBlk::on_connection() {
  if (session_) {
    // The old front end's end may not have been seen yet; then the new one waits for its turn.
    session_->check_hang_up();
    if (!listening_) {
      return;
    }
  }
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    return;  // the peer has given up meanwhile
  }
  if (session_) {
    counters_.connections_refused.add(1);
    log_warning("vhost_user_connection_refused",
                {{"export", options_.name}, {"detail", "another front end is connected"}});
    return;
  }
  if (const auto adopted = adopt(std::move(socket)); !adopted) {
    log_warning("vhost_user_connection_failed",
                {{"export", options_.name}, {"detail", adopted.error().text}});
  }
}

Status VhostUserBlk::adopt(UniqueFd socket) {
  if (session_ || drained_) {
    return Error{ErrorCode::kExists, "export '" + options_.name + "' is in use or stops"};
  }
  const vhost_user::Export exported{loop_, device_, shape_, options_.name, counters_, begun_};
  session_ = std::make_shared<vhost_user::Session>(
      exported, std::move(socket),
      vhost_user::Session::Events{[this] { unwatch_listener(); }, [this] { session_ended(); }});
  log_info("vhost_user_connected", {{"export", options_.name}});
  if (const auto started = session_->start(); !started) {
    session_.reset();
    return started;
  }
  return {};
}

void VhostUserBlk::size_changed() {
  shape_.capacity_sectors = device_.size_bytes() / kSectorSize;
  if (session_) {
    session_->config_changed();
  }
}

void VhostUserBlk::move_to(EventLoop& other, std::function<void()> moved) {
  const bool listens = listening_;
  leave_loop();
  loop_ = &other;
  other.post([this, listens, moved = std::move(moved)] {
    join_loop(listens);
    moved();
  });
}

void VhostUserBlk::leave_loop() {
  if (session_) {
    session_->leave_loop();
  }
  unwatch_listener();
  if (device_watched_) {
    loop_->unwatch(device_.event_fd());
  }
}

void VhostUserBlk::join_loop(bool listens) {
  if (const auto watched = watch_device(); !watched) {
    device_watched_ = false;
    log_error("vhost_user_device_unwatched",
              {{"export", options_.name}, {"detail", watched.error().text}});
  }
  if (listens) {
    watch_listener();
  }
  if (session_) {
    session_->join_loop();
  }
}

void VhostUserBlk::session_ended() {
  session_.reset();
  if (drained_) {
    finish_stop();
  } else {
    watch_listener();
  }
}

void VhostUserBlk::stop(std::function<void()> drained) {
  drained_ = std::move(drained);
  unwatch_listener();
  if (session_) {
    session_->shut_down();
  } else {
    loop_->post([this] { finish_stop(); });
  }
}

void VhostUserBlk::finish_stop() {
  if (listener_.valid()) {
    options_.listeners->close(options_.socket_path);
    listener_.reset();
  }
  const auto drained = drained_;  // may destroy this object
  drained();
}

}  // namespace fallow
