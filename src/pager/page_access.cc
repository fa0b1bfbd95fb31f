#include "pager/page_access.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/units.h"

namespace fallow::pager {

bool OwnMemory::read(const Run& run, std::byte* to) {
  std::memcpy(to, reinterpret_cast<const void*>(run.begin), run.pages * kPageSize);
  return true;
}

void OwnMemory::drop(std::span<Run> runs) {
  for (Run& run : runs) {
    (void)::madvise(reinterpret_cast<void*>(run.begin), run.pages * kPageSize, MADV_DONTNEED);
    run.gone = true;  // or some are, where a part is locked
  }
}

void FileMemory::add_mapping(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset) {
  mappings_.push_back({address, bytes, offset});
}

std::uint64_t FileMemory::offset_of(std::uint64_t address) const {
  const auto at = std::find_if(mappings_.begin(), mappings_.end(), [address](const Mapped& one) {
    return address - one.address < one.bytes;
  });
  CHECK(at != mappings_.end());
  return at->offset + (address - at->address);
}

bool FileMemory::read(const Run& run, std::byte* to) {
  std::uint64_t offset = offset_of(run.begin);
  std::size_t left = run.pages * kPageSize;
  while (left > 0) {
    const ssize_t bytes = ::pread(file_, to, left, static_cast<off_t>(offset));
    if (bytes < 0 && errno == EINTR) {
      continue;
    }
    if (bytes <= 0) {
      return false;
    }
    to += bytes;
    offset += static_cast<std::uint64_t>(bytes);
    left -= static_cast<std::size_t>(bytes);
  }
  return true;
}

void FileMemory::drop(std::span<Run> runs) {
  for (Run& run : runs) {
    int result = 0;
    do {
      result = ::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(offset_of(run.begin)),
                           static_cast<off_t>(run.pages * kPageSize));
    } while (result != 0 && errno == EINTR);
    run.gone = result == 0;
  }
}

}  // namespace fallow::pager
