#include "base/foreign_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "base/units.h"

namespace fallow {
namespace {

// The size of the file's pages, once it is known to be one that the kernel alone serves.
Result<std::uint64_t> file_page_size(int fd, std::uint64_t end) {
  // Only files in memory have seals, and asking for them never waits for a file server.
  if (::fcntl(fd, F_GET_SEALS) < 0) {
    return invalid("shared memory must be a memfd or a file on tmpfs or hugetlbfs");
  }
  struct stat info {};
  struct statfs system {};
  if (::fstat(fd, &info) != 0 || ::fstatfs(fd, &system) != 0) {
    return failed_errno("cannot inspect a file of shared memory", errno);
  }
  if (end > static_cast<std::uint64_t>(info.st_size)) {
    return invalid("memory region reaches past the end of its file");
  }
  const bool huge = system.f_type == HUGETLBFS_MAGIC;
  return huge ? static_cast<std::uint64_t>(system.f_bsize) : kPageSize;
}

}  // namespace

Result<ForeignMemory> ForeignMemory::map(int fd, std::uint64_t offset, std::uint64_t size) {
  if (size == 0 || offset % kPageSize != 0 || size > UINT64_MAX - offset) {
    return invalid("memory region must begin at a page of its file and not be empty");
  }
  const auto page = file_page_size(fd, offset + size);
  FALLOW_TRY(page);
  // A huge page is mapped whole or not at all.
  const std::uint64_t start = offset & ~(*page - 1);
  const std::uint64_t end = (offset + size + *page - 1) & ~(*page - 1);
  auto mapping = Mapping::map_shared(fd, start, end - start);
  if (!mapping) {
    return mapping.error();
  }
  // A core dump of ours must not hold another's memory.
  ::madvise(mapping->data(), mapping->size(), MADV_DONTDUMP);
  auto guard = BusErrorGuard::watch(mapping->data(), mapping->size(), *page);
  if (!guard) {
    return guard.error();
  }
  ForeignMemory memory;
  memory.data_ = mapping->data() + (offset - start);
  memory.size_ = size;
  memory.mapping_ = std::move(*mapping);
  memory.guard_ = std::move(*guard);
  return memory;
}

}  // namespace fallow
