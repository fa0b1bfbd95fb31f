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
namespace {

// In an entry of /proc/self/pagemap.
constexpr std::uint64_t kInRamOrSwap = std::uint64_t{3} << 62;

}  // namespace

OwnMemory::OwnMemory() : page_map_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

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

std::vector<Run> OwnMemory::present(const Run& run) const {
  std::vector<std::uint64_t> entries(run.pages);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(entries));
  if (!page_map_.valid() || !read_at(page_map_.get(), bytes, run.begin / kPageSize * 8)) {
    return {run};
  }
  std::vector<Run> runs;
  for (std::uint64_t i = 0; i < run.pages; ++i) {
    const std::uint64_t address = run.begin + i * kPageSize;
    if ((entries[i] & kInRamOrSwap) == 0) {
      continue;
    }
    if (!runs.empty() && runs.back().begin + runs.back().pages * kPageSize == address) {
      ++runs.back().pages;
    } else {
      runs.push_back({address, 1});
    }
  }
  return runs;
}

void FileMemory::add_mapping(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset) {
  mappings_.push_back({address, bytes, offset});
}

// Mappings may touch each other over there, and be anywhere in the file.
std::vector<FileMemory::Piece> FileMemory::pieces_of(const Run& run) const {
  std::vector<Piece> pieces;
  const std::uint64_t end = run.begin + run.pages * kPageSize;
  for (std::uint64_t address = run.begin; address < end;) {
    const auto at = std::find_if(mappings_.begin(), mappings_.end(), [address](const Mapped& one) {
      return address - one.address < one.bytes;
    });
    CHECK(at != mappings_.end());
    const std::uint64_t bytes = std::min(end, at->address + at->bytes) - address;
    pieces.push_back({address, static_cast<off_t>(at->offset + (address - at->address)), bytes});
    address += bytes;
  }
  return pieces;
}

bool FileMemory::read(const Run& run, std::byte* to) {
  for (const Piece& piece : pieces_of(run)) {
    if (!read_at(file_, {to + (piece.address - run.begin), piece.bytes},
                 static_cast<std::uint64_t>(piece.offset))) {
      return false;
    }
  }
  return true;
}

void FileMemory::drop(std::span<Run> runs) {
  for (Run& run : runs) {
    for (const Piece& piece : pieces_of(run)) {
      int result = 0;
      do {
        result = ::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, piece.offset,
                             static_cast<off_t>(piece.bytes));
      } while (result != 0 && errno == EINTR);
      run.gone = run.gone || result == 0;
    }
  }
}

std::vector<Run> FileMemory::present(const Run& run) const {
  std::vector<Run> runs;
  for (const Piece& piece : pieces_of(run)) {
    const off_t end = piece.offset + static_cast<off_t>(piece.bytes);
    for (off_t at = piece.offset; at < end;) {
      const off_t data = ::lseek(file_, at, SEEK_DATA);
      if (data < 0 || data >= end) {
        break;
      }
      const off_t hole = ::lseek(file_, data, SEEK_HOLE);
      const off_t stop = hole > data ? std::min(hole, end) : end;
      const std::uint64_t first = static_cast<std::uint64_t>(data - piece.offset);
      runs.push_back({piece.address + first, static_cast<std::uint64_t>(stop - data) / kPageSize});
      at = stop;
    }
  }
  return runs;
}

}  // namespace fallow::pager
