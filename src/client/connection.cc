#include "client/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/passed_descriptors.h"
#include "client/failure.h"
#include "ring/control_messages.h"

namespace fallow::client {
namespace {

constexpr std::size_t kFilesMax = 2;  // of one message: a queue's memory and its doorbell

std::string errno_text(int error) {
  return std::strerror(error);
}

int fill_address(const std::string& path, sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(EINVAL, "the socket's path '" + path + "' must have 1 to " +
                            std::to_string(sizeof address.sun_path - 1) + " characters");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return 0;
}

// The path in the way of a daemon, in words.
int connect_failure(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
      return fail(ENOTCONN, "no daemon listens on '" + path + "' (" + errno_text(error) +
                                "): is fallowd running?");
    case EAGAIN:
      return fail(ENOTCONN, "the daemon at '" + path + "' does not accept connections");
    default:
      return fail(error, "cannot connect to '" + path + "': " + errno_text(error));
  }
}

int open_socket(const std::string& path, UniqueFd& made) {
  sockaddr_un address{};
  if (const int error = fill_address(path, address); error != 0) {
    return error;
  }
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    return fail(errno, "cannot create a socket: " + errno_text(errno));
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return connect_failure(path, errno);
  }
  made = std::move(socket);
  return 0;
}

int poll_timeout_ms(std::uint64_t ns) {
  return static_cast<int>(std::min<std::uint64_t>(ns / 1'000'000 + 1, INT_MAX));
}

// A daemon that cut the memory short would make every access a fault.
bool holds(const UniqueFd& file, std::uint64_t bytes) {
  struct stat info {};
  return ::fstat(file.get(), &info) == 0 && info.st_size >= 0 &&
         static_cast<std::uint64_t>(info.st_size) >= bytes &&
         (::fcntl(file.get(), F_GET_SEALS) & F_SEAL_SHRINK) != 0;
}

}  // namespace

struct Connection::Packet {
  alignas(8) std::byte bytes[ring::kControlBytesMax];
  std::size_t length = 0;
  UniqueFd files[kFilesMax];

  [[nodiscard]] std::span<const std::byte> content() const { return {bytes, length}; }
};

namespace {

void take_files(msghdr& message, std::span<UniqueFd> files) {
  std::size_t count = 0;
  take_descriptors(message, [&](UniqueFd file) {
    if (count < files.size()) {
      files[count++] = std::move(file);
    }
  });
}

}  // namespace

Connection::Connection(UniqueFd socket, std::uint64_t patience_ns, const Clock& clock)
    : socket_(std::move(socket)), patience_ns_(patience_ns), clock_(clock) {}

Connection::~Connection() = default;

int Connection::dial(const Target& target, const Patience& patience, const Clock& clock,
                     std::shared_ptr<Connection>& made) {
  UniqueFd socket;
  if (const int error = open_socket(target.socket, socket); error != 0) {
    return error;
  }
  std::shared_ptr<Connection> connection(
      new Connection(std::move(socket), patience.greeting_ns, clock));
  if (const int error = connection->greet(target); error != 0) {
    return error;
  }
  connection->patience_ns_ = patience.answer_ns;
  made = std::move(connection);
  return 0;
}

int Connection::greet(const Target& target) {
  auto hello = ring::make_message<ring::Hello>();
  if (target.name.empty() || target.name.size() >= sizeof hello.name) {
    return fail(EINVAL, "the name '" + target.name + "' must have 1 to " +
                            std::to_string(sizeof hello.name - 1) + " characters");
  }
  hello.version_first = ring::kVersionFirst;
  hello.version_last = ring::kVersionLast;
  hello.attach = target.attach;
  hello.secret = target.secret;
  std::memcpy(hello.name, target.name.c_str(), target.name.size() + 1);
  if (const int error = ask(hello, -1, welcome_, {}); error != 0) {
    return error;
  }
  if (welcome_.version < ring::kVersionFirst || welcome_.version > ring::kVersionLast) {
    return broken("it chose version " + std::to_string(welcome_.version) + " of the protocol");
  }
  return 0;
}

int Connection::open_queue(std::uint32_t entries, Queue& queue) {
  auto request = ring::make_message<ring::OpenQueue>();
  request.entries = entries;
  ring::QueueOpened opened{};
  UniqueFd files[kFilesMax];
  if (const int error = ask(request, -1, opened, files); error != 0) {
    return error;
  }
  if (opened.entries != entries || opened.bytes < ring::queue_bytes(entries) || !files[1].valid() ||
      !holds(files[0], opened.bytes)) {
    return broken("it opened a queue of another shape than was asked for");
  }
  auto memory = Mapping::map_shared(files[0].get(), 0, opened.bytes);
  if (!memory) {
    return fail(ENOMEM, memory.error().text);
  }
  auto producer = ring::Producer::create(std::move(*memory), std::move(files[1]), entries, clock_);
  if (!producer) {
    return broken(producer.error().text);
  }
  queue = {opened.queue, std::move(*producer)};
  return 0;
}

int Connection::close_queue(std::uint32_t id) {
  auto request = ring::make_message<ring::CloseQueue>();
  request.queue = id;
  ring::Done done{};
  return ask(request, -1, done, {});
}

int Connection::register_region(int file, std::uint64_t bytes, std::uint32_t& token) {
  auto request = ring::make_message<ring::Register>();
  request.bytes = bytes;
  ring::Registered registered{};
  if (const int error = ask(request, file, registered, {}); error != 0) {
    return error;
  }
  token = registered.token;
  return token != 0 ? 0 : broken("it gave a region no token");
}

int Connection::unregister_region(std::uint32_t token) {
  auto request = ring::make_message<ring::Unregister>();
  request.token = token;
  ring::Done done{};
  return ask(request, -1, done, {});
}

int Connection::keep(std::uint32_t seconds) {
  auto request = ring::make_message<ring::Keep>();
  request.seconds = seconds;
  ring::Done done{};
  return ask(request, -1, done, {});
}

void Connection::goodbye() {
  const auto message = ring::make_message<ring::Goodbye>();
  send(&message, sizeof message, -1);
}

template <typename Answer, typename Request>
int Connection::ask(const Request& request, int file, Answer& answer, std::span<UniqueFd> files) {
  if (const int error = send(&request, sizeof request, file); error != 0) {
    return error;
  }
  Packet packet;
  if (const int error = receive(packet); error != 0) {
    return error;
  }
  const auto type = ring::check_packet(packet.content());
  if (!type) {
    return broken(type.error().text);
  }
  if (*type == ring::ControlType::kRefused) {
    auto refused = ring::read_message<ring::Refused>(packet.content());
    refused.text[sizeof refused.text - 1] = '\0';
    return fail(refused.error > 0 ? refused.error : EPROTO,
                std::string("the daemon refuses: ") + refused.text);
  }
  if (*type != ring::kTypeOf<Answer>) {
    return broken("it answered with message " + std::to_string(static_cast<unsigned>(*type)));
  }
  answer = ring::read_message<Answer>(packet.content());
  std::move(packet.files, packet.files + files.size(), files.begin());
  return 0;
}

int Connection::send(const void* request, std::size_t bytes, int file) {
  iovec part{const_cast<void*>(request), bytes};
  PassedDescriptors<1> along;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  along.give(message, {&file, file >= 0 ? 1u : 0u});
  // One request is answered before the next is sent, so there is always room.
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes) ? 0 : broken("it hung up");
}

int Connection::receive(Packet& packet) {
  const std::uint64_t deadline_ns = clock_.now_ns() + patience_ns_;
  for (;;) {
    iovec part{packet.bytes, sizeof packet.bytes};
    PassedDescriptors<kFilesMax> along;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    along.expect(message);
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got > 0) {
      packet.length = static_cast<std::size_t>(got);
      take_files(message, packet.files);
      return 0;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return broken("it hung up");
    }
    const std::uint64_t now_ns = clock_.now_ns();
    if (now_ns >= deadline_ns) {
      broken("it does not answer");
      return -ETIMEDOUT;
    }
    pollfd readable{socket_.get(), POLLIN, 0};
    ::poll(&readable, 1, poll_timeout_ms(deadline_ns - now_ns));
  }
}

bool Connection::over() const {
  if (ended_.load()) {
    return true;
  }
  pollfd hangup{socket_.get(), POLLRDHUP, 0};
  return ::poll(&hangup, 1, 0) > 0 && hangup.revents != 0;
}

void Connection::end() {
  ended_.store(true);
  ::shutdown(socket_.get(), SHUT_RDWR);
}

int Connection::broken(const std::string& what) {
  end();
  return fail(ENOTCONN, "the connection to the daemon is over: " + what);
}

}  // namespace fallow::client
