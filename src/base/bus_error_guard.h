// Keeps the process alive when memory that it shares with another process goes away under it.
//
// A peer that truncates the file behind its memory turns our next access into SIGBUS, from any
// thread and in the middle of a memcpy. The guard is a process-wide handler and a fixed table
// of watched ranges. A fault inside one maps a private page of zeros over the lost page, marks the
// range as broken, and lets the access go on; whoever owns the range looks at broken() afterwards
// and drops the peer. A fault elsewhere goes to whoever handled SIGBUS before.
//
// Invariants:
// 1. A slot's `end` is zero while it is free or being filled: the handler ignores it then.
// 2. A range is watched from after it is mapped until before it is unmapped, and no thread touches
//    it outside that time: so the handler only ever remaps memory that is still the range's own.
// 3. The handler uses no lock, no heap, and no call but mmap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace fallow {

class BusErrorGuard {
 public:
  static constexpr std::size_t kRangesMax = 32768;

  BusErrorGuard() = default;
  BusErrorGuard(BusErrorGuard&& other) noexcept;
  BusErrorGuard& operator=(BusErrorGuard&& other) noexcept;
  ~BusErrorGuard();

  // Watches [begin, begin + size). `page_size` is that of the file system behind the mapping: huge
  // pages can only be replaced whole. Any thread.
  static Result<BusErrorGuard> watch(std::byte* begin, std::size_t size, std::size_t page_size);

  // How many bus errors this process has survived: while it stays the same, no range has broken.
  // Any thread.
  [[nodiscard]] static std::uint64_t survived();

  // Whether an access within the range has failed since watch(). Any thread.
  [[nodiscard]] bool broken() const;

 private:
  explicit BusErrorGuard(std::size_t slot) : slot_(slot) {}
  std::size_t slot_ = kRangesMax;  // kRangesMax: none
};

}  // namespace fallow
