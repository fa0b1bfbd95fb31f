#include "frontend/ring/control_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace fallow::ring {
namespace {

constexpr std::size_t kFdsSentMax = 2;

// The kernel closes what does not fit in here, and says so.
union FdRoom {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

// More than one descriptor fits when they are padded to 8 bytes: all are taken, so that all are
// closed.
unsigned take_fds(msghdr& head, UniqueFd& last) {
  unsigned taken = 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&head); item != nullptr; item = CMSG_NXTHDR(&head, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      last.reset(fd);
      ++taken;
    }
  }
  return taken;
}

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
  FdRoom room{};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  head.msg_control = room.bytes;
  head.msg_controllen = sizeof room.bytes;
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
  const unsigned fds = take_fds(head, received_fd_);
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
  CHECK(fds.size() <= kFdsSentMax);
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kFdsSentMax * sizeof(int))] = {};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  if (!fds.empty()) {
    head.msg_control = control;
    head.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* item = CMSG_FIRSTHDR(&head);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(item), fds.data(), fds.size_bytes());
  }
  const ssize_t sent = ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(bytes.size())) {
    return failed_errno("the client does not take its answer", sent < 0 ? errno : EAGAIN);
  }
  return {};
}

}  // namespace fallow::ring
