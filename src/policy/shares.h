// Dividing a number of pages so that nothing is lost to rounding.
#pragma once

#include <cstdint>
#include <vector>

namespace fallow::policy {

// 004, Equation 2.2: scales `targets` so that they add up to exactly `total`. Rounded down, then
// the pages left over go to the largest remainders, among equals to the first. At least one is not
// 0.
std::vector<std::uint64_t> scale_to_total(const std::vector<std::uint64_t>& targets,
                                          std::uint64_t total);

}  // namespace fallow::policy
