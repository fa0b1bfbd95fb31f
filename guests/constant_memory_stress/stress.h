// The memory of constant-memory-stress and what is done to it: pages are read, verified and written
// anew, all of them in turn or around one place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/block.h"
#include "common/mix.h"

namespace fallow::guests {

// Numbers of pages around one place: 004, §4.7. Sums of even distributions rather than a logarithm,
// so that they are the same on every machine.
class NormalPages {
 public:
  // Mean and standard deviation in percent of the pages, of which there is at least one.
  NormalPages(std::uint64_t pages, std::uint64_t mean, std::uint64_t deviation);

  // What falls outside is clipped to the first or the last.
  std::uint64_t next(Random& random) const;

 private:
  std::int64_t last_;
  std::int64_t mean_;
  std::int64_t deviation_;
};

// Bytes of a page and of what is known of it.
inline constexpr std::uint64_t kStressPageBytes = kPageSize + sizeof(std::uint32_t);

class Stress {
 public:
  Stress(std::uint64_t pages, std::uint64_t seed);

  [[nodiscard]] bool valid() const { return block_.valid(); }
  [[nodiscard]] std::uint64_t pages() const { return block_.pages(); }

  void build();
  // Reads a page, verifies it and writes it anew. "", or what is wrong with it.
  std::string renew(std::uint64_t number);
  // Of all pages, which stay as they are.
  std::string verify();
  // Depends on every page read so far.
  [[nodiscard]] std::uint64_t checksum() const { return read_.value(); }

 private:
  void write(std::uint64_t number);
  std::string read(std::uint64_t number);

  std::uint64_t seed_;
  Block block_;
  std::vector<std::uint32_t> writes_;  // of each page
  Fingerprint read_;

  friend class StressTest;
};

}  // namespace fallow::guests
