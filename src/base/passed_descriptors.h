// File descriptors that travel with a message over a Unix socket (SCM_RIGHTS). Around sendmsg() and
// recvmsg(), which their callers call as they need.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <span>

#include "base/check.h"
#include "base/file.h"

namespace fallow {

// Room for up to `kMost` of them; stays where it is until the message has been sent or received.
template <std::size_t kMost>
class PassedDescriptors {
 public:
  // The message is to bring these along; at most `kMost`.
  void give(msghdr& message, std::span<const int> descriptors) {
    CHECK(descriptors.size() <= kMost);
    if (descriptors.empty()) {
      return;
    }
    message.msg_control = room_;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }

  // The message may bring some. The kernel closes what does not fit, and says so (MSG_CTRUNC).
  void expect(msghdr& message) {
    message.msg_control = room_;
    message.msg_controllen = sizeof room_;
  }

 private:
  alignas(cmsghdr) char room_[CMSG_SPACE(kMost * sizeof(int))] = {};
};

// Calls each(UniqueFd) for every descriptor that a received message has brought. More may fit than
// there was room asked for, as they are padded: all have an owner, and those not kept are closed.
template <typename Each>
void take_descriptors(msghdr& message, Each each) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      each(UniqueFd(fd));
    }
  }
}

}  // namespace fallow
