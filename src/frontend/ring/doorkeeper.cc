#include "frontend/ring/doorkeeper.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/text.h"

namespace fallow::ring {
namespace {

constexpr int kBacklog = 64;
constexpr unsigned kAcceptedPerTurn = 16;
constexpr std::uint64_t kWatchPeriodNs = 500'000'000;

uid_t uid_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  return known ? peer.uid : static_cast<uid_t>(-1);
}

}  // namespace

Doorkeeper::Doorkeeper(EventLoop& loop, const Clock& clock, std::shared_ptr<Shared> shared,
                       const Settings& settings, Welcome welcome)
    : loop_(loop),
      clock_(clock),
      shared_(std::move(shared)),
      settings_(settings),
      welcome_(std::move(welcome)),
      connections_(std::make_shared<Quota>(settings.connections_max)) {}

Result<std::unique_ptr<Doorkeeper>> Doorkeeper::create(EventLoop& loop, const Clock& clock,
                                                       std::shared_ptr<Shared> shared,
                                                       const Settings& settings, Welcome welcome) {
  std::unique_ptr<Doorkeeper> keeper(
      new Doorkeeper(loop, clock, std::move(shared), settings, std::move(welcome)));
  FALLOW_TRY(keeper->listen());
  return keeper;
}

Doorkeeper::~Doorkeeper() {
  while (!strangers_.empty()) {
    forget(strangers_.begin());
  }
  if (timer_) {
    loop_.cancel(*timer_);
  }
  if (listening_) {
    loop_.unwatch(listener_.get());
  }
  if (listener_.valid()) {
    settings_.listeners->close(settings_.socket_path);
  }
}

Status Doorkeeper::listen() {
  const char* path = settings_.socket_path.c_str();
  auto listener =
      settings_.listeners->open(settings_.socket_path, kBacklog, UnixSocket::kSeqpacket);
  if (!listener) {
    return listener.error();
  }
  listener_ = std::move(*listener);
  if (settings_.socket_group &&
      (::chown(path, static_cast<uid_t>(-1), *settings_.socket_group) != 0 ||
       ::chmod(path, 0660) != 0)) {
    return failed_errno("cannot open socket '" + settings_.socket_path +
                            "' to its group: is the daemon's user a member?",
                        errno);
  }
  const auto timer = loop_.every_ns(kWatchPeriodNs, [this] { look_at_watch(); });
  FALLOW_TRY(timer);
  timer_ = *timer;
  FALLOW_TRY(loop_.watch(listener_.get(), [this] { on_connection(); }));
  listening_ = true;
  return {};
}

void Doorkeeper::on_connection() {
  for (unsigned i = 0; i < kAcceptedPerTurn; ++i) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      meet(std::move(socket));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      // It stays readable: look again when the timer comes round.
      log_warning("ring_client_not_accepted", {{"detail", "out of file descriptors or memory"}});
      loop_.unwatch(listener_.get());
      listening_ = false;
    }
    return;
  }
}

void Doorkeeper::meet(UniqueFd socket) {
  if (strangers_.size() == kStrangersMax) {
    turn_away(strangers_.begin(), ETIMEDOUT, "others came meanwhile");
  }
  const auto stranger = strangers_.insert(
      strangers_.end(), Stranger{ControlChannel(std::move(socket)), clock_.now_ns()});
  const auto watched =
      loop_.watch(stranger->channel.fd(), [this, stranger] { on_hello(stranger); });
  if (!watched) {
    strangers_.erase(stranger);
  }
}

void Doorkeeper::on_hello(Strangers::iterator stranger) {
  const auto event = stranger->channel.receive();
  if (!event) {
    turn_away(stranger, EPROTO, event.error().text);
    return;
  }
  if (*event == ControlChannel::Event::kNothingYet) {
    return;
  }
  if (*event == ControlChannel::Event::kClosed) {
    shared_->counters.refused.fetch_add(1);
    forget(stranger);
    return;
  }
  if (stranger->channel.type() != ControlType::kHello) {
    turn_away(stranger, EPROTO, "the first control message is not Hello");
    return;
  }
  admit(stranger);
}

Status Doorkeeper::check_hello_of(const Stranger& stranger) const {
  const auto hello = stranger.channel.read<Hello>();
  FALLOW_TRY(check_hello(hello));
  return check_name(name_of(hello));
}

void Doorkeeper::admit(Strangers::iterator stranger) {
  if (const auto good = check_hello_of(*stranger); !good) {
    turn_away(stranger, EINVAL, good.error().text);
    return;
  }
  const auto hello = stranger->channel.read<Hello>();
  const auto version = choose_version(hello.version_first, hello.version_last);
  if (!version) {
    turn_away(stranger, EPROTONOSUPPORT,
              "the daemon speaks versions " + std::to_string(kVersionFirst) + " to " +
                  std::to_string(kVersionLast) + " of the ring ABI");
    return;
  }
  auto lease = Lease::take(connections_, 1);
  if (!lease) {
    turn_away(stranger, EUSERS, "the daemon has as many clients as it allows");
    return;
  }
  Connection connection;
  connection.name = name_of(hello);
  connection.secret = hello.secret;
  connection.uid = uid_of(stranger->channel.fd());
  connection.version = *version;
  connection.epoch = settings_.epoch;
  connection.lease = std::move(*lease);
  connection.shared = shared_;
  connection.socket = forget(stranger);
  const auto welcomed = welcome_(hello.attach, connection);
  if (!welcomed) {
    shared_->counters.refused.fetch_add(1);
    log_info("ring_client_refused",
             {{"client", connection.name}, {"detail", welcomed.error().text}});
    ControlChannel channel(std::move(connection.socket));
    // It is told if it listens.
    [[maybe_unused]] const auto told =
        channel.send(make_refused(errno_of(welcomed.error().code), welcomed.error().text));
  }
}

void Doorkeeper::turn_away(Strangers::iterator stranger, int error, std::string_view why) {
  shared_->counters.refused.fetch_add(1);
  log_info("ring_client_refused", {{"uid", uid_of(stranger->channel.fd())}, {"detail", why}});
  [[maybe_unused]] const auto told = stranger->channel.send(make_refused(error, why));
  forget(stranger);
}

UniqueFd Doorkeeper::forget(Strangers::iterator stranger) {
  loop_.unwatch(stranger->channel.fd());
  UniqueFd socket = stranger->channel.release();
  strangers_.erase(stranger);
  return socket;
}

void Doorkeeper::look_at_watch() {
  const std::uint64_t now = clock_.now_ns();
  while (!strangers_.empty() && now - strangers_.front().since_ns >= kPatienceNs) {
    turn_away(strangers_.begin(), ETIMEDOUT, "it did not say Hello in time");
  }
  if (!listening_) {
    listening_ = loop_.watch(listener_.get(), [this] { on_connection(); }).ok();
  }
}

}  // namespace fallow::ring
