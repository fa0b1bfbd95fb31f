#include "policy/shares.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace fallow::policy {
namespace {

// Two targets of 2^63 pages already overflow 64 bits.
__extension__ using Wide = unsigned __int128;

// Indices of `remainders`, largest remainder first, among equals in order.
std::vector<std::size_t> by_remainder(const std::vector<Wide>& remainders) {
  std::vector<std::size_t> order(remainders.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
    return remainders[left] > remainders[right];
  });
  return order;
}

}  // namespace

std::vector<std::uint64_t> scale_to_total(const std::vector<std::uint64_t>& targets,
                                          std::uint64_t total) {
  const Wide sum = std::accumulate(targets.begin(), targets.end(), Wide{0});
  CHECK(sum > 0);
  std::vector<std::uint64_t> scaled;
  std::vector<Wide> remainders;
  std::uint64_t left = total;
  for (const std::uint64_t target : targets) {
    const Wide product = Wide{total} * target;
    scaled.push_back(static_cast<std::uint64_t>(product / sum));
    remainders.push_back(product % sum);
    left -= scaled.back();
  }
  // The remainders add up to left * sum, and each is below sum: there are enough of them.
  for (const std::size_t i : by_remainder(remainders)) {
    if (left == 0) {
      break;
    }
    ++scaled[i];
    --left;
  }
  CHECK(left == 0);
  return scaled;
}

}  // namespace fallow::policy
