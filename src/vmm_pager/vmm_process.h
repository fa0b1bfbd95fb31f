// The process of a VMM, told from another that got its number later.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace fallow::vmm_pager {

struct VmmProcess {
  std::int64_t pid = 0;          // 0: it cannot be seen from here
  std::uint64_t started_at = 0;  // as the kernel counts

  bool operator==(const VmmProcess&) const = default;
};

VmmProcess process_of(pid_t pid);
// Who is at the other end of a Unix socket.
VmmProcess peer_of(int socket);
// False: it has ended for certain.
bool may_live(const VmmProcess& process);

}  // namespace fallow::vmm_pager
