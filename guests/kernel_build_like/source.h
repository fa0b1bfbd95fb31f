// What kernel-build-like compiles: C++ sources that are the same in every run, and what the program
// made of them must print, worked out without a compiler's help.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::guests {

// Which source: `parts` says how large it is.
struct Unit {
  std::uint64_t seed = 0;
  std::uint64_t number = 0;
  std::uint64_t parts = 1;
};

// Of a few sizes: every fourth is the largest, the others are down to an eighth of it.
Unit make_unit(std::uint64_t seed, std::uint64_t number, std::uint64_t parts_max);

std::string unit_source(const Unit& unit);
// What the function that it defines returns.
std::uint64_t unit_value(const Unit& unit);

// The program that prints a line for each unit.
std::string main_source(std::uint64_t units);
std::string main_output(std::uint64_t seed, std::uint64_t units, std::uint64_t parts_max);

// Of a source whose compilation takes about that much memory at the most.
std::uint64_t parts_in(std::uint64_t megabytes);
inline constexpr std::uint64_t kCompileMegabytesMin = 96;
inline constexpr std::uint64_t kCompileMegabytesMax = 4096;

}  // namespace fallow::guests
