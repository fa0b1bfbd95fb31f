#include "constant_memory_stress/stress.h"

#include <algorithm>

namespace fallow::guests {
namespace {

// Twelve even distributions from 0 to 1 have a sum whose variance is 1 and whose mean is 6.
constexpr int kEvenDistributions = 12;
constexpr unsigned kFractionBits = 20;

std::int64_t percent_of(std::uint64_t pages, std::uint64_t percent) {
  return static_cast<std::int64_t>(pages * percent / 100);
}

}  // namespace

NormalPages::NormalPages(std::uint64_t pages, std::uint64_t mean, std::uint64_t deviation)
    : last_(static_cast<std::int64_t>(pages) - 1),
      mean_(percent_of(pages, mean)),
      deviation_(percent_of(pages, deviation)) {}

std::uint64_t NormalPages::next(Random& random) const {
  std::int64_t sum = -std::int64_t{kEvenDistributions / 2} << kFractionBits;
  for (int i = 0; i < kEvenDistributions; ++i) {
    sum += static_cast<std::int64_t>(random.below(std::uint64_t{1} << kFractionBits));
  }
  const std::int64_t place = mean_ + (sum * deviation_ >> kFractionBits);
  return static_cast<std::uint64_t>(std::clamp(place, std::int64_t{0}, last_));
}

Stress::Stress(std::uint64_t pages, std::uint64_t seed)
    : seed_(seed), block_(pages * kPageSize), writes_(pages) {}

void Stress::build() {
  for (std::uint64_t number = 0; number < pages(); ++number) {
    write(number);
  }
}

void Stress::write(std::uint64_t number) {
  fill_page(block_.page(number), {seed_, ++writes_[number], number});
}

std::string Stress::read(std::uint64_t number) {
  const auto page = block_.page(number);
  const std::size_t word = first_mismatch(page, {seed_, writes_[number], number});
  if (word != kPageWords) {
    return "page " + std::to_string(number) + " word " + std::to_string(word) +
           " came back from memory other than it was written";
  }
  read_.add(page[0]);
  return "";
}

std::string Stress::renew(std::uint64_t number) {
  std::string error = read(number);
  if (error.empty()) {
    write(number);
  }
  return error;
}

std::string Stress::verify() {
  std::string error;
  for (std::uint64_t number = 0; number < pages() && error.empty(); ++number) {
    error = read(number);
  }
  return error;
}

}  // namespace fallow::guests
