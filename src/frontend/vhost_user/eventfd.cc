#include "frontend/vhost_user/eventfd.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string_view>

namespace fallow::vhost_user {

Result<UniqueFd> adopt_eventfd(UniqueFd fd) {
  char target[64] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  // Reading the link asks nothing of the file itself, which might not answer.
  const ssize_t length = ::readlink(link.c_str(), target, sizeof target - 1);
  if (length <= 0 || std::string_view(target) != "anon_inode:[eventfd]") {
    return invalid("a ring's notification descriptor is not an eventfd");
  }
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return fd;
}

void drain_eventfd(int fd) {
  std::uint64_t count = 0;
  const iovec part{&count, sizeof count};
  [[maybe_unused]] const ssize_t got = ::preadv2(fd, &part, 1, -1, RWF_NOWAIT);
}

void signal_eventfd(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace fallow::vhost_user
