#include "client/region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace fallow::client {
namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

// Sealed, so that nobody can take the memory from under the daemon.
UniqueFd make_file(std::size_t bytes) {
  UniqueFd file(::memfd_create("fallow-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.valid() &&
      (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
       ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
    file.reset();
  }
  return file;
}

// Maps the file where a huge page may begin.
std::byte* map_aligned(int file, std::size_t bytes) {
  const std::size_t wide = bytes + Region::kHugePage;
  void* reserved =
      ::mmap(nullptr, wide, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) {
    return nullptr;
  }
  auto* start = static_cast<std::byte*>(reserved);
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  std::byte* begin = start + (round_up(address, Region::kHugePage) - address);
  void* mapped = ::mmap(begin, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  const int error = errno;
  if (mapped == MAP_FAILED) {
    ::munmap(start, wide);
    errno = error;
    return nullptr;
  }
  if (begin != start) {
    ::munmap(start, static_cast<std::size_t>(begin - start));
  }
  ::munmap(begin + bytes, static_cast<std::size_t>(start + wide - (begin + bytes)));
  ::madvise(begin, bytes, MADV_HUGEPAGE);
  return begin;
}

}  // namespace

std::unique_ptr<Region> Region::create(std::size_t bytes) {
  const std::size_t size = round_up(bytes, kHugePage);
  UniqueFd file = make_file(size);
  if (!file.valid()) {
    return nullptr;
  }
  std::byte* begin = map_aligned(file.get(), size);
  if (begin == nullptr) {
    return nullptr;
  }
  return std::unique_ptr<Region>(new Region(std::move(file), begin, size));
}

Region::Region(UniqueFd file, std::byte* begin, std::size_t size)
    : file_(std::move(file)), begin_(begin), size_(size), holes_{{0, size}} {}

Region::~Region() {
  ::munmap(begin_, size_);
}

std::byte* Region::allocate(std::size_t bytes) {
  const std::size_t wanted = round_up(std::max<std::size_t>(bytes, 1), kGrain);
  const auto fits = [wanted](const auto& hole) { return hole.second >= wanted; };
  const auto hole = std::find_if(holes_.begin(), holes_.end(), fits);
  if (hole == holes_.end()) {
    return nullptr;
  }
  const auto [at, length] = *hole;
  allocations_.emplace(at, wanted);
  holes_.erase(hole);
  if (length > wanted) {
    holes_.emplace(at + wanted, length - wanted);
  }
  return begin_ + at;
}

bool Region::release(std::byte* memory) {
  if (memory < begin_ || memory >= begin_ + size_) {
    return false;
  }
  const auto found = allocations_.find(static_cast<std::size_t>(memory - begin_));
  if (found == allocations_.end()) {
    return false;
  }
  if (found->second >= kGiveBack) {
    ::madvise(memory, found->second, MADV_REMOVE);
  }
  auto hole = holes_.insert(*found).first;
  allocations_.erase(found);
  if (const auto next = std::next(hole);
      next != holes_.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    holes_.erase(next);
  }
  if (hole != holes_.begin()) {
    const auto before = std::prev(hole);
    if (before->first + before->second == hole->first) {
      before->second += hole->second;
      holes_.erase(hole);
    }
  }
  return true;
}

}  // namespace fallow::client
