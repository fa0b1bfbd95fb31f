// Dividing a number of pages so that nothing is lost to rounding.
#pragma once

#include <cstdint>
#include <vector>

namespace fallow::policy {

// The i-th of `count` equal shares of `total`; what is left over goes to the first ones, a page
// each, so that the shares add up to `total`. `count` > 0, `i` < `count`.
std::uint64_t equal_share(std::uint64_t total, std::uint64_t count, std::uint64_t i);

// 004, Equation 2.2: scales `targets` so that they add up to exactly `total`. Rounded down, then
// the pages left over go to the largest remainders, among equals to the first. At least one is not
// 0.
std::vector<std::uint64_t> scale_to_total(const std::vector<std::uint64_t>& targets,
                                          std::uint64_t total);

}  // namespace fallow::policy
