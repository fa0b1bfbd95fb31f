#include "vmm_pager/guest_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "base/units.h"

namespace fallow::vmm_pager {

Result<GuestFile> open_guest_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  struct statfs system {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0 || ::fstatfs(file.get(), &system) != 0) {
    return invalid(failed_errno("cannot open the VM's memory '" + path + "'", errno).text);
  }
  if (!S_ISREG(status.st_mode) || system.f_type != TMPFS_MAGIC) {
    return invalid("'" + path + "' is not a file of shared memory: give the VM one on tmpfs " +
                   "(/dev/shm), or a memfd without huge pages");
  }
  if (status.st_blksize != kPageSize) {
    return invalid("'" + path + "' is on a tmpfs with huge pages, of which no single page can be " +
                   "taken: mount it with huge=never");
  }
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0) {
    return invalid("'" + path + "' is sealed against writing: no page can be taken out of it");
  }
  const FileIdentity identity{status.st_dev, status.st_ino,
                              static_cast<std::uint64_t>(status.st_size) / kPageSize * kPageSize};
  return GuestFile{std::move(file), identity};
}

FileIdentity identity_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? FileIdentity{status.st_dev, status.st_ino, 0}
                                            : FileIdentity{};
}

}  // namespace fallow::vmm_pager
