// How a data set that is small becomes a load that is large: copies of it, linked to each other.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::guests {

inline constexpr std::uint64_t kMegabytesMax = 65536;

// Bytes of the program and of whatever does not grow with the copies, and bytes of each copy.
struct Footprint {
  std::uint64_t fixed = 0;
  std::uint64_t copy = 0;

  [[nodiscard]] std::uint64_t of(std::uint64_t copies) const { return fixed + copies * copy; }
  // As many as fit; 0 when not one does.
  [[nodiscard]] std::uint64_t copies_in(std::uint64_t megabytes) const {
    const std::uint64_t bytes = megabytes << 20;
    return bytes < fixed ? 0 : (bytes - fixed) / copy;
  }
  [[nodiscard]] std::uint64_t megabytes_min() const { return (of(1) >> 20) + 1; }
};

// For stderr, when not one copy fits; the exit code is 2.
inline std::string too_small(const std::string& program, std::uint64_t megabytes,
                             const Footprint& footprint) {
  return program + ": --megabytes " + std::to_string(megabytes) +
         " is too small for one copy of the data: use " +
         std::to_string(footprint.megabytes_min()) + " or more\n";
}

// Made-up data can be smaller than what it is like: its part, a power of two, for so much memory.
constexpr std::uint64_t small_part(std::uint64_t megabytes) {
  std::uint64_t part = 1;
  while (part < 8 && megabytes * part < 64) {
    part *= 2;
  }
  return part;
}

// What a static program takes by itself, with its stack and its output.
inline constexpr std::uint64_t kProgramBytes = std::uint64_t{1} << 20;

}  // namespace fallow::guests
