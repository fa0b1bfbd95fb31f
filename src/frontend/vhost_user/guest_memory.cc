#include "frontend/vhost_user/guest_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"

namespace fallow::vhost_user {
namespace {

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

bool wraps(std::uint64_t start, std::uint64_t size) {
  return start > UINT64_MAX - size;
}

bool page_aligned(std::uint64_t value) {
  return value % kPageSize == 0;
}

Status check_region(const Region& region) {
  if (region.size == 0 || region.size > GuestMemory::kBytesMax) {
    return invalid("memory region has a size of " + std::to_string(region.size) + " bytes");
  }
  if (wraps(region.guest_address, region.size) || wraps(region.user_address, region.size) ||
      wraps(region.file_offset, region.size)) {
    return invalid("memory region wraps around the end of its address space");
  }
  if (!page_aligned(region.guest_address) || !page_aligned(region.user_address) ||
      !page_aligned(region.size) || !page_aligned(region.file_offset)) {
    return invalid("memory region is not aligned to pages");
  }
  return {};
}

Status check_pairs(std::span<const Region> regions) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    FALLOW_TRY(check_region(regions[i]));
    total += regions[i].size;
    for (std::size_t j = 0; j < i; ++j) {
      const Region &a = regions[i], &b = regions[j];
      if (overlap(a.guest_address, a.size, b.guest_address, b.size) ||
          overlap(a.user_address, a.size, b.user_address, b.size)) {
        return invalid("memory regions overlap");
      }
    }
  }
  if (total > GuestMemory::kBytesMax) {
    return invalid("memory table has more than " + std::to_string(GuestMemory::kBytesMax) +
                   " bytes");
  }
  return {};
}

// The size of the pages of the file, once it is known to be one that the kernel alone serves.
Result<std::uint64_t> file_page_size(int fd, const Region& region) {
  // Only files in memory have seals, and asking for them never waits for a file server.
  if (::fcntl(fd, F_GET_SEALS) < 0) {
    return invalid("guest memory must be a memfd or a file on tmpfs or hugetlbfs");
  }
  struct stat info {};
  struct statfs system {};
  if (::fstat(fd, &info) != 0 || ::fstatfs(fd, &system) != 0) {
    return failed_errno("cannot inspect a file of guest memory", errno);
  }
  if (region.file_offset + region.size > static_cast<std::uint64_t>(info.st_size)) {
    return invalid("memory region reaches past the end of its file");
  }
  const bool huge = system.f_type == HUGETLBFS_MAGIC;
  return huge ? static_cast<std::uint64_t>(system.f_bsize) : kPageSize;
}

}  // namespace

Result<GuestMemory::Mapped> GuestMemory::map_region(const Region& region, int fd) {
  const auto page = file_page_size(fd, region);
  FALLOW_TRY(page);
  // A huge page is mapped whole or not at all.
  const std::uint64_t start = region.file_offset & ~(*page - 1);
  const std::uint64_t end = (region.file_offset + region.size + *page - 1) & ~(*page - 1);
  auto mapping = Mapping::map_shared(fd, start, end - start);
  if (!mapping) {
    return mapping.error();
  }
  // A core dump of ours must not hold a guest's memory.
  ::madvise(mapping->data(), mapping->size(), MADV_DONTDUMP);
  auto guard = BusErrorGuard::watch(mapping->data(), mapping->size(), *page);
  if (!guard) {
    return guard.error();
  }
  std::byte* base = mapping->data() + (region.file_offset - start);
  return Mapped{region, std::move(*mapping), std::move(*guard), base};
}

Result<GuestMemory> GuestMemory::map(std::span<const Region> regions,
                                     std::span<const UniqueFd> fds) {
  if (regions.size() != fds.size()) {
    return invalid("each memory region needs one file descriptor");
  }
  FALLOW_TRY(check_pairs(regions));
  GuestMemory memory;
  memory.mapped_.reserve(regions.size());
  for (std::size_t i = 0; i < regions.size(); ++i) {
    auto mapped = map_region(regions[i], fds[i].get());
    if (!mapped) {
      return mapped.error();
    }
    memory.mapped_.push_back(std::move(*mapped));
  }
  return memory;
}

std::span<std::byte> GuestMemory::guest_run(std::uint64_t address, std::uint64_t length) const {
  for (const Mapped& mapped : mapped_) {
    const std::uint64_t offset = address - mapped.region.guest_address;  // wraps when below
    if (address >= mapped.region.guest_address && offset < mapped.region.size) {
      return {mapped.base + offset, std::min(length, mapped.region.size - offset)};
    }
  }
  return {};
}

bool GuestMemory::read_guest(std::uint64_t address, void* to, std::size_t size) const {
  auto* out = static_cast<std::byte*>(to);
  while (size > 0) {
    const auto run = guest_run(address, size);
    if (run.empty()) {
      return false;
    }
    copy_once(out, run.data(), run.size());
    out += run.size();
    address += run.size();  // cannot wrap: no region ends at the last address
    size -= run.size();
  }
  return true;
}

std::byte* GuestMemory::at_user(std::uint64_t address, std::uint64_t size) const {
  for (const Mapped& mapped : mapped_) {
    const std::uint64_t offset = address - mapped.region.user_address;
    if (address >= mapped.region.user_address && offset < mapped.region.size &&
        size <= mapped.region.size - offset) {
      return mapped.base + offset;
    }
  }
  return nullptr;
}

bool GuestMemory::broken() const {
  return std::any_of(mapped_.begin(), mapped_.end(),
                     [](const Mapped& mapped) { return mapped.guard.broken(); });
}

}  // namespace fallow::vhost_user
