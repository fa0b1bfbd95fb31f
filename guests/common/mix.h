// Words that look random and are the same in every run, and a sum over words that notices a word
// that is wrong or in another's place. Whole numbers only: the guests' processors differ, and what
// a maths library does with a logarithm differs between them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fallow::guests {

inline constexpr std::uint64_t kWordStep = 0x9e3779b97f4a7c15;

// SplitMix64's finalizer: neighbours in, unrelated words out.
constexpr std::uint64_t mix(std::uint64_t word) {
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t word) {
  return mix(mix(seed + kWordStep) + word);
}

// SplitMix64.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(mix(seed + kWordStep)) {}

  constexpr std::uint64_t next() { return mix(state_ += kWordStep); }

  // Below `bound`, which is from 1 to 2^32.
  constexpr std::uint64_t below(std::uint64_t bound) { return ((next() >> 32) * bound) >> 32; }

  // From 0 up to, but not, 1.
  constexpr double fraction() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

// Depends on every word and on their order.
class Fingerprint {
 public:
  constexpr void add(std::uint64_t word) { state_ = mix(state_ + kWordStep + word); }
  // Depends on the length, too.
  void add_text(std::string_view text) {
    add(text.size());
    for (std::size_t at = 0; at < text.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + at, std::min(sizeof(word), text.size() - at));
      add(word);
    }
  }
  [[nodiscard]] constexpr std::uint64_t value() const { return state_; }
  bool operator==(const Fingerprint&) const = default;

 private:
  std::uint64_t state_ = 0;
};

}  // namespace fallow::guests
