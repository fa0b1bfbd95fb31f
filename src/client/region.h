// A file of memory that is mapped here and can be registered with the daemon, carved into
// allocations. Sparse: what was never touched costs nothing.
//
// Not synchronised: Client's mutex guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/file.h"

namespace fallow::client {

class Region {
 public:
  static constexpr std::size_t kGrain = 4096;         // allocations begin and end on these
  static constexpr std::size_t kHugePage = 2u << 20;  // regions begin and end on these
  // Freed pieces of this size and more give their memory back to the system.
  static constexpr std::size_t kGiveBack = kHugePage;

  // `bytes` is rounded up to whole huge pages, which are wanted and not insisted on. nullptr with
  // errno set when there is no memory, or no descriptor.
  static std::unique_ptr<Region> create(std::size_t bytes);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // nullptr: no hole is large enough.
  std::byte* allocate(std::size_t bytes);
  // False: `memory` is none of its allocations.
  bool release(std::byte* memory);
  [[nodiscard]] bool unused() const { return allocations_.empty(); }

  [[nodiscard]] std::byte* begin() const { return begin_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] int file() const { return file_.get(); }

  // By what name the daemon knows it on the connection of now.
  std::uint32_t token = 0;

 private:
  Region(UniqueFd file, std::byte* begin, std::size_t size);

  const UniqueFd file_;
  std::byte* const begin_;
  const std::size_t size_;
  std::map<std::size_t, std::size_t> holes_;  // where they begin, and how long they are
  std::unordered_map<std::size_t, std::size_t> allocations_;  // likewise
};

}  // namespace fallow::client
