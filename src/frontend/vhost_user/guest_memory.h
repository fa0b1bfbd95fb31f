// A front end's memory table, mapped: what turns the addresses in rings and descriptors into
// pointers. Owns the mappings. Replaced whole by each SET_MEM_TABLE, or changed region by region; a
// mapping never moves while its region is in the table.
//
// The memory is the guest's to write at any time. Copy what matters once, with copy_once(), then
// check the copy. One thread, the session's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/foreign_memory.h"
#include "base/result.h"
#include "frontend/vhost_user/messages.h"

namespace fallow::vhost_user {

class GuestMemory {
 public:
  // More than any machine has; bounds the address space that one front end can use up.
  static constexpr std::uint64_t kBytesMax = 8ull << 40;
  // What KVM gives a virtual machine, and so QEMU too.
  static constexpr std::size_t kSlotsMax = 509;

  GuestMemory() = default;

  // `fds[i]` is the file of `regions[i]`: a memfd or a file on tmpfs or hugetlbfs. Other files are
  // refused: on FUSE or the like another process could hold up our page faults for ever. Takes the
  // descriptors out of `fds` only to close them; the mappings keep the files.
  static Result<GuestMemory> map(std::span<const Region> regions, std::span<const UniqueFd> fds);

  // One region more, or one less: that with the same addresses and size. An error (kInvalid) leaves
  // the table as it was.
  Status add(const Region& region, int fd);
  Status remove(const Region& region);

  // The longest run from `address` on, at most `length` bytes, that is contiguous here; empty when
  // the address is not in the table. A range may go on in the neighbouring region.
  [[nodiscard]] std::span<std::byte> guest_run(std::uint64_t address, std::uint64_t length) const;

  // All of [address, address + size) by guest-physical address; false when a part is not there.
  [[nodiscard]] bool read_guest(std::uint64_t address, void* to, std::size_t size) const;

  // By the front end's address; nullptr unless the whole range lies in one region.
  [[nodiscard]] std::byte* at_user(std::uint64_t address, std::uint64_t size) const;

  // Where the guest sees the byte at `at`, which one of the lookups above has found.
  [[nodiscard]] std::uint64_t guest_address(const std::byte* at) const;

  // Whether the files behind the table have been cut under us: what was read since may be zeros.
  [[nodiscard]] bool broken() const;

 private:
  struct Mapped {
    Region region;
    std::byte* base = nullptr;
    std::unique_ptr<ForeignMemory> memory;

    [[nodiscard]] bool has_guest(std::uint64_t address) const {
      return address - region.guest_address < region.size;  // wraps when below
    }
  };
  [[nodiscard]] Status check_addition(const Region& region) const;
  [[nodiscard]] const Mapped* find_guest(std::uint64_t address) const;

  std::vector<Mapped> mapped_;            // by guest address
  mutable std::size_t last_found_ = 0;    // descriptors tend to stay in one region
  mutable std::uint64_t checked_at_ = 0;  // BusErrorGuard::survived() when broken_ was found out
  mutable bool broken_ = false;
};

}  // namespace fallow::vhost_user
