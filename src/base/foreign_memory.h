// Memory of another process: a file that it brings, mapped so that nothing the process does later
// can stop or end this one.
//
// The other side may write the memory at any time. Copy what matters once, with copy_once(), then
// check the copy, then use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bus_error_guard.h"
#include "base/file.h"
#include "base/result.h"

namespace fallow {

// Copies out of memory that another process may be writing. The compiler may not read the source
// again afterwards in the belief that it still holds what was copied.
inline void copy_once(void* to, const void* from, std::size_t size) {
  std::memcpy(to, from, size);
  asm volatile("" ::: "memory");
}

// Owns a mapping of a part of the file; the file may be closed. broken(): any thread.
class ForeignMemory {
 public:
  ForeignMemory() = default;

  // Maps [offset, offset + size) of `fd`; the offset is a multiple of kPageSize. It must be a memfd
  // or a file on tmpfs or hugetlbfs and reach that far. Other files are refused: on FUSE or the
  // like another process could hold up our page faults for ever. Errors: kInvalid for what the peer
  // did wrong.
  static Result<ForeignMemory> map(int fd, std::uint64_t offset, std::uint64_t size);

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Whether the file has been cut under us: what was read since may be zeros.
  [[nodiscard]] bool broken() const { return guard_.broken(); }

 private:
  Mapping mapping_;      // more than was asked for on huge pages
  BusErrorGuard guard_;  // after the mapping: it must end its watch before the memory goes
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace fallow
