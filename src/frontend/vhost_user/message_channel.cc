#include "frontend/vhost_user/message_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/passed_descriptors.h"

namespace fallow::vhost_user {
namespace {

bool is_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

}  // namespace

MessageChannel::MessageChannel(UniqueFd socket) : socket_(std::move(socket)) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  message_.fds.reserve(kFdsMax);
}

Result<MessageChannel::Event> MessageChannel::receive() {
  if (received_ < sizeof(Header)) {
    auto* header = reinterpret_cast<std::byte*>(&message_.header);
    auto event = read_into(header + received_, sizeof(Header) - received_);
    if (!event || *event != Event::kMessage) {
      return event;
    }
    FALLOW_TRY(check_header(message_.header));
  }
  const std::size_t payload = received_ - sizeof(Header);
  if (payload == message_.header.size) {
    return Event::kMessage;
  }
  return read_into(message_.bytes.data() + payload, message_.header.size - payload);
}

void MessageChannel::next() {
  message_.fds.clear();
  message_.header = {};
  received_ = 0;
}

// kMessage here: all of `want` has come.
Result<MessageChannel::Event> MessageChannel::read_into(std::byte* to, std::size_t want) {
  while (want > 0) {
    iovec part{to, want};
    PassedDescriptors<kFdsMax> along;
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    along.expect(head);
    const ssize_t got = ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return Event::kNothingYet;
    }
    if (got <= 0) {
      return Event::kClosed;
    }
    to += got;
    want -= static_cast<std::size_t>(got);
    received_ += static_cast<std::size_t>(got);
    FALLOW_TRY(take_fds(head));
  }
  return Event::kMessage;
}

Status MessageChannel::take_fds(msghdr& head) {
  bool unwanted = false;
  take_descriptors(head, [&](UniqueFd fd) {
    unwanted = unwanted || (is_socket(fd.get()) && !takes_socket());
    message_.fds.push_back(std::move(fd));
  });
  if (unwanted) {
    return invalid("a vhost-user message brings a socket");
  }
  // The kernel has closed what did not fit into the buffer.
  if ((head.msg_flags & MSG_CTRUNC) != 0 || message_.fds.size() > kFdsMax) {
    return invalid("a vhost-user message brings more than " + std::to_string(kFdsMax) +
                   " file descriptors");
  }
  return {};
}

// A peer that sends us its own end could leave without our noticing, as long as we hold it. So
// there is one message that may bring a socket, and it must be whole: whoever takes it looks at the
// socket at once.
bool MessageChannel::takes_socket() const {
  return received_ == sizeof(Header) && message_.type() == RequestType::kSetBackendReqFd &&
         message_.header.size == 0;
}

Status MessageChannel::send(const Reply& reply, int fd) {
  iovec part{const_cast<std::byte*>(reply.bytes.data()), reply.size};
  PassedDescriptors<1> along;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.give(head, {&fd, fd >= 0 ? 1u : 0u});
  const ssize_t sent = ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(reply.size)) {
    return failed_errno("the front end does not take its reply", sent < 0 ? errno : EAGAIN);
  }
  return {};
}

bool MessageChannel::hung_up() const {
  pollfd query{socket_.get(), POLLRDHUP, 0};
  return !socket_.valid() ||
         (::poll(&query, 1, 0) == 1 && (query.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

void MessageChannel::close() {
  socket_.reset();
}

}  // namespace fallow::vhost_user
