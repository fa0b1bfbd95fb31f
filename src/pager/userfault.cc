#include "pager/userfault.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/units.h"
#include "pager/userfault_features.h"

namespace fallow::pager {
namespace {

template <typename Argument>
int control(int fd, unsigned long request, Argument& argument) {
  return ::ioctl(fd, request, &argument) == 0 ? 0 : -errno;
}

// The device file can be given to a group; the system call is what older kernels have.
UniqueFd open_descriptor() {
  const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (device.valid()) {
    const int fd = ::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
      return UniqueFd(fd);
    }
  }
  return UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
}

Error explain_refusal(int error) {
  if (error == EPERM || error == EACCES) {
    return failed(
        "the kernel lets only root use userfaultfd: give this user access to /dev/userfaultfd "
        "(chgrp, chmod 660), or set the sysctl vm.unprivileged_userfaultfd=1");
  }
  if (error == ENOSYS) {
    return failed("this kernel has no userfaultfd (CONFIG_USERFAULTFD)");
  }
  return failed_errno("cannot make a userfaultfd", error);
}

}  // namespace

Result<UserFault> UserFault::create() {
  UniqueFd fd = open_descriptor();
  if (!fd.valid()) {
    return explain_refusal(errno);
  }
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kOwnMemoryFeatures;
  if (const int error = control(fd.get(), UFFDIO_API, api); error != 0) {
    return failed_errno("this kernel's userfaultfd cannot write-protect pages: 5.7 or later can",
                        -error);
  }
  return UserFault(std::move(fd));
}

Result<UserFault> UserFault::adopt(UniqueFd fd) {
  char link[64] = {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t length = ::readlink(path.c_str(), link, sizeof link - 1);
  if (length <= 0 || std::strcmp(link, "anon_inode:[userfaultfd]") != 0) {
    return invalid("the descriptor that came is not a userfaultfd");
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return failed_errno("cannot set the userfaultfd to non-blocking", errno);
  }
  return UserFault(std::move(fd));
}

bool UserFault::alive() const {
  // Nothing is ever watched so low, which the kernel finds out after whose memory it is. Lower yet
  // it would not even look.
  constexpr std::uint64_t kNowhere = std::uint64_t{1} << 20;
  alignas(kPageSize) static const std::byte nothing[kPageSize] = {};
  std::uint64_t filled = 0;
  return fill(kNowhere, nothing, kPageSize, false, filled) != -ESRCH;
}

int UserFault::watch(std::uint64_t begin, std::uint64_t bytes, bool shared_memory) const {
  uffdio_register request{};
  request.range = {begin, bytes};
  request.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP;
  if (shared_memory) {
    request.mode |= UFFDIO_REGISTER_MODE_MINOR;
  }
  return control(fd_.get(), UFFDIO_REGISTER, request);
}

int UserFault::unwatch(std::uint64_t begin, std::uint64_t bytes) const {
  uffdio_range range{begin, bytes};
  return control(fd_.get(), UFFDIO_UNREGISTER, range);
}

int UserFault::read(std::span<uffd_msg> messages) const {
  for (;;) {
    const ssize_t bytes = ::read(fd_.get(), messages.data(), messages.size_bytes());
    if (bytes >= 0) {
      return static_cast<int>(static_cast<std::size_t>(bytes) / sizeof(uffd_msg));
    }
    if (errno != EINTR) {
      return -errno;
    }
  }
}

int UserFault::fill(std::uint64_t address, const std::byte* from, std::uint64_t bytes, bool protect,
                    std::uint64_t& filled) const {
  uffdio_copy request{};
  request.dst = address;
  request.src = reinterpret_cast<std::uint64_t>(from);
  request.len = bytes;
  request.mode = protect ? UFFDIO_COPY_MODE_WP : 0;
  const int error = control(fd_.get(), UFFDIO_COPY, request);
  filled = request.copy > 0 ? static_cast<std::uint64_t>(request.copy) : 0;
  // What was begun and not ended says so with EAGAIN; why, the next call tells.
  return error;
}

int UserFault::map_present(std::uint64_t address, std::uint64_t bytes, bool protect) const {
  uffdio_continue request{};
  request.range = {address, bytes};
  request.mode = protect ? UFFDIO_CONTINUE_MODE_WP : 0;
  return control(fd_.get(), UFFDIO_CONTINUE, request);
}

int UserFault::protect(std::uint64_t begin, std::uint64_t bytes, bool on) const {
  uffdio_writeprotect request{};
  request.range = {begin, bytes};
  request.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  int error = 0;
  do {  // EAGAIN: the address space is changing; it will have within the time of a system call
    error = control(fd_.get(), UFFDIO_WRITEPROTECT, request);
  } while (error == -EINTR);
  return error;
}

int UserFault::wake(std::uint64_t begin, std::uint64_t bytes) const {
  uffdio_range range{begin, bytes};
  return control(fd_.get(), UFFDIO_WAKE, range);
}

int UserFault::poison(std::uint64_t begin, std::uint64_t bytes) const {
  uffdio_poison request{};
  request.range = {begin, bytes};
  return control(fd_.get(), UFFDIO_POISON, request);
}

}  // namespace fallow::pager
