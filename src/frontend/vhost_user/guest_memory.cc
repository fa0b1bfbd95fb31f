#include "frontend/vhost_user/guest_memory.h"

#include <algorithm>

#include "base/check.h"
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

}  // namespace

Status GuestMemory::check_addition(const Region& region) const {
  FALLOW_TRY(check_region(region));
  if (mapped_.size() == kSlotsMax) {
    return invalid("memory table has more than " + std::to_string(kSlotsMax) + " regions");
  }
  std::uint64_t total = region.size;
  for (const Mapped& mapped : mapped_) {
    const Region& other = mapped.region;
    total += other.size;
    if (overlap(other.guest_address, other.size, region.guest_address, region.size) ||
        overlap(other.user_address, other.size, region.user_address, region.size)) {
      return invalid("memory regions overlap");
    }
  }
  if (total > kBytesMax) {
    return invalid("memory table has more than " + std::to_string(kBytesMax) + " bytes");
  }
  return {};
}

Status GuestMemory::add(const Region& region, int fd) {
  FALLOW_TRY(check_addition(region));
  auto memory = ForeignMemory::map(fd, region.file_offset, region.size);
  if (!memory) {
    return memory.error();
  }
  auto own = std::make_unique<ForeignMemory>(std::move(*memory));
  const auto behind = [](const Region& a, const Mapped& b) {
    return a.guest_address < b.region.guest_address;
  };
  const auto at = std::upper_bound(mapped_.begin(), mapped_.end(), region, behind);
  std::byte* base = own->data();
  mapped_.insert(at, Mapped{region, base, std::move(own)});
  return {};
}

Status GuestMemory::remove(const Region& region) {
  const auto same = [&region](const Mapped& mapped) {
    return mapped.region.guest_address == region.guest_address &&
           mapped.region.user_address == region.user_address && mapped.region.size == region.size;
  };
  const auto found = std::find_if(mapped_.begin(), mapped_.end(), same);
  if (found == mapped_.end()) {
    return invalid("a memory region is removed that is not in the table");
  }
  mapped_.erase(found);
  return {};
}

Result<GuestMemory> GuestMemory::map(std::span<const Region> regions,
                                     std::span<const UniqueFd> fds) {
  if (regions.size() != fds.size()) {
    return invalid("each memory region needs one file descriptor");
  }
  GuestMemory memory;
  memory.mapped_.reserve(regions.size());
  for (std::size_t i = 0; i < regions.size(); ++i) {
    FALLOW_TRY(memory.add(regions[i], fds[i].get()));
  }
  return memory;
}

const GuestMemory::Mapped* GuestMemory::find_guest(std::uint64_t address) const {
  if (last_found_ < mapped_.size() && mapped_[last_found_].has_guest(address)) {
    return &mapped_[last_found_];
  }
  const auto behind = [](std::uint64_t a, const Mapped& b) { return a < b.region.guest_address; };
  const auto next = std::upper_bound(mapped_.begin(), mapped_.end(), address, behind);
  if (next == mapped_.begin() || !(next - 1)->has_guest(address)) {
    return nullptr;
  }
  last_found_ = static_cast<std::size_t>(next - 1 - mapped_.begin());
  return &mapped_[last_found_];
}

std::span<std::byte> GuestMemory::guest_run(std::uint64_t address, std::uint64_t length) const {
  const Mapped* mapped = find_guest(address);
  if (mapped == nullptr) {
    return {};
  }
  const std::uint64_t offset = address - mapped->region.guest_address;
  return {mapped->base + offset, std::min(length, mapped->region.size - offset)};
}

std::uint64_t GuestMemory::guest_address(const std::byte* at) const {
  for (const Mapped& mapped : mapped_) {
    const std::uint64_t offset =
        reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(mapped.base);
    if (offset < mapped.region.size) {
      return mapped.region.guest_address + offset;
    }
  }
  CHECK(false);
  return 0;
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
  const std::uint64_t survived = BusErrorGuard::survived();
  if (survived != checked_at_) {
    checked_at_ = survived;
    broken_ = std::any_of(mapped_.begin(), mapped_.end(),
                          [](const Mapped& mapped) { return mapped.memory->broken(); });
  }
  return broken_;
}

}  // namespace fallow::vhost_user
