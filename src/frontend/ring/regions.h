// Memory that one client has registered: what turns a token and an address into a pointer.
//
// One thread, the session's, but for broken().
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/foreign_memory.h"
#include "frontend/ring/quota.h"
#include "ring/abi.h"

namespace fallow::ring {

class Regions {
 public:
  explicit Regions(std::shared_ptr<Quota> quota) : quota_(std::move(quota)) {}

  // Maps `bytes` of the file; the descriptor may be closed then. A token is never 0, and not soon
  // the same again.
  Result<std::uint32_t> add(int fd, std::uint64_t bytes);
  // The range, or nullptr unless all of it lies within the region.
  [[nodiscard]] std::byte* find(std::uint32_t token, std::uint64_t address,
                                std::uint64_t length) const {
    const Region& region = regions_[token % kRegionsMax];
    const bool good = token == region.token && token != 0 && !region.closed &&
                      address <= region.memory.size() && length <= region.memory.size() - address;
    return good ? region.memory.data() + address : nullptr;
  }
  // What is found now stays mapped until as many calls of unpin().
  void pin(std::uint32_t token) { ++regions_[token % kRegionsMax].pins; }
  void unpin(std::uint32_t token) { --regions_[token % kRegionsMax].pins; }

  // From now on nothing is found in it. False when there is no such region.
  [[nodiscard]] bool close(std::uint32_t token);
  [[nodiscard]] bool pinned(std::uint32_t token) const {
    return regions_[token % kRegionsMax].pins != 0;
  }
  // Unmaps a closed region that is not pinned.
  void remove(std::uint32_t token);

  // Whether the client has cut one of the files: what was read since may be zeros.
  [[nodiscard]] bool broken() const;

 private:
  struct Region {
    std::uint32_t token = 0;  // 0: free
    std::uint32_t generation = 0;
    std::uint32_t pins = 0;
    bool closed = false;
    ForeignMemory memory;
    Lease lease;
  };

  std::shared_ptr<Quota> quota_;
  std::array<Region, kRegionsMax> regions_;
  std::size_t used_ = 0;     // the slots from here on were never used
  std::uint64_t bytes_ = 0;  // of all of them
};

}  // namespace fallow::ring
