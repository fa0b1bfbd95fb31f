#include "frontend/vhost_user/guest_memory.h"

#include <algorithm>

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

}  // namespace

Result<GuestMemory::Mapped> GuestMemory::map_region(const Region& region, int fd) {
  auto memory = ForeignMemory::map(fd, region.file_offset, region.size);
  if (!memory) {
    return memory.error();
  }
  return Mapped{region, std::move(*memory)};
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
      return {mapped.memory.data() + offset, std::min(length, mapped.region.size - offset)};
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
      return mapped.memory.data() + offset;
    }
  }
  return nullptr;
}

bool GuestMemory::broken() const {
  return std::any_of(mapped_.begin(), mapped_.end(),
                     [](const Mapped& mapped) { return mapped.memory.broken(); });
}

}  // namespace fallow::vhost_user
