// A userfaultfd: the kernel's way to let a program answer page faults. One descriptor belongs to
// one address space, which may be another process's; whoever holds it can fill, protect and wake.
//
// Any thread. Addresses and lengths are multiples of the page size. Functions that return int give
// 0 or a negative errno value.
#pragma once

#include <linux/userfaultfd.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/file.h"
#include "base/result.h"

namespace fallow::pager {

// What a kernel that Debian 12 has may not know yet.
#ifndef UFFDIO_POISON
struct uffdio_poison {
  struct uffdio_range range;
  __u64 mode;
  __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP (static_cast<__u64>(1) << 1)
#endif

class UserFault {
 public:
  // A new one for this process. The error says which sysctl or device file is in the way.
  static Result<UserFault> create();
  // Whether the process that it belongs to is there.
  [[nodiscard]] bool alive() const;
  // One that another process made, and agreed with the kernel about. kInvalid: it is none.
  static Result<UserFault> adopt(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }

  // Accesses to pages that are not there, and writes to protected ones, become messages; with
  // `shared_memory`, so do accesses to pages that are in the file and not mapped.
  [[nodiscard]] int watch(std::uint64_t begin, std::uint64_t bytes, bool shared_memory) const;
  [[nodiscard]] int unwatch(std::uint64_t begin, std::uint64_t bytes) const;

  // Up to messages.size() messages; never waits. -EAGAIN: there is none.
  [[nodiscard]] int read(std::span<uffd_msg> messages) const;

  // Installs pages, all at once each, and wakes who waits for them. `filled`: bytes. -EEXIST: the
  // next page is there; -EAGAIN: the address space is changing, and an event is to be read first;
  // -ESRCH: it is gone; -ENOENT: nothing is watched there.
  int fill(std::uint64_t address, const std::byte* from, std::uint64_t bytes, bool protect,
           std::uint64_t& filled) const;
  // Maps pages that the file has, and wakes who waits for them. -EINVAL with `protect`: the kernel
  // is older than 6.4.
  [[nodiscard]] int map_present(std::uint64_t address, std::uint64_t bytes, bool protect) const;
  // Lifting the protection wakes who waits for it.
  [[nodiscard]] int protect(std::uint64_t begin, std::uint64_t bytes, bool on) const;
  int wake(std::uint64_t begin, std::uint64_t bytes) const;
  // Accesses get SIGBUS from now on. -ENOTTY or -EINVAL: the kernel is older than 6.6.
  [[nodiscard]] int poison(std::uint64_t begin, std::uint64_t bytes) const;

 private:
  explicit UserFault(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace fallow::pager
