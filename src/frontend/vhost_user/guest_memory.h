// A front end's memory table, mapped: what turns the addresses in rings and descriptors into
// pointers. Owns the mappings. Replaced whole by each SET_MEM_TABLE, never changed.
//
// The memory is the guest's to write at any time. Copy what matters once, with copy_once(), then
// check the copy. Lookups: the session's thread. broken(): any thread.
#pragma once

#include <cstddef>
#include <cstdint>
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

  GuestMemory() = default;

  // `fds[i]` is the file of `regions[i]`: a memfd or a file on tmpfs or hugetlbfs. Other files are
  // refused: on FUSE or the like another process could hold up our page faults for ever. Takes the
  // descriptors out of `fds` only to close them; the mappings keep the files.
  static Result<GuestMemory> map(std::span<const Region> regions, std::span<const UniqueFd> fds);

  // The longest run from `address` on, at most `length` bytes, that is contiguous here; empty when
  // the address is not in the table. A range may go on in the neighbouring region.
  [[nodiscard]] std::span<std::byte> guest_run(std::uint64_t address, std::uint64_t length) const;

  // All of [address, address + size) by guest-physical address; false when a part is not there.
  [[nodiscard]] bool read_guest(std::uint64_t address, void* to, std::size_t size) const;

  // By the front end's address; nullptr unless the whole range lies in one region.
  [[nodiscard]] std::byte* at_user(std::uint64_t address, std::uint64_t size) const;

  // Whether the files behind the table have been cut under us: what was read since may be zeros.
  [[nodiscard]] bool broken() const;

 private:
  struct Mapped {
    Region region;
    ForeignMemory memory;
  };
  static Result<Mapped> map_region(const Region& region, int fd);

  std::vector<Mapped> mapped_;
};

}  // namespace fallow::vhost_user
