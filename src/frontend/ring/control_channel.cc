#include "frontend/ring/control_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/passed_descriptors.h"

namespace fallow::ring {
namespace {

constexpr std::size_t kFdsSentMax = 2;

}  // namespace

int errno_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return EINVAL;
    case ErrorCode::kNotFound:
      return ENOENT;
    case ErrorCode::kExists:
      return EBUSY;
    case ErrorCode::kFailed:
    case ErrorCode::kUnreachable:
      break;
  }
  return ENOMEM;
}

ControlChannel::ControlChannel(UniqueFd socket) : socket_(std::move(socket)) {
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

Result<ControlChannel::Event> ControlChannel::receive() {
  received_fd_.reset();
  iovec part{bytes_.data(), bytes_.size()};
  PassedDescriptors<1> along;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.expect(head);
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Event::kNothingYet;
  }
  if (got <= 0) {
    return Event::kClosed;
  }
  unsigned fds = 0;
  take_descriptors(head, [&](UniqueFd fd) {
    received_fd_ = std::move(fd);
    ++fds;
  });
  if ((head.msg_flags & MSG_TRUNC) != 0) {
    return invalid("a control message is too long");
  }
  const auto type = check_packet(std::span(bytes_).first(static_cast<std::size_t>(got)));
  FALLOW_TRY(type);
  type_ = *type;
  const unsigned expected = type_ == ControlType::kRegister ? 1 : 0;
  if ((head.msg_flags & MSG_CTRUNC) != 0 || fds != expected) {
    return invalid("a control message brings file descriptors that it must not, or lacks its own");
  }
  return Event::kPacket;
}

Status ControlChannel::send_bytes(std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  PassedDescriptors<kFdsSentMax> along;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.give(head, fds);
  const ssize_t sent = ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(bytes.size())) {
    return failed_errno("the client does not take its answer", sent < 0 ? errno : EAGAIN);
  }
  return {};
}

}  // namespace fallow::ring
