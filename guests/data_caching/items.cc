#include "data_caching/items.h"

#include <algorithm>
#include <cstring>

#include "common/report.h"

namespace fallow::guests {
namespace {

// The mean of the sizes, with key and header, and what their rounding up to memcached's sizes
// costs.
constexpr std::uint64_t kItemBytes = 2880;
// memcached without an item; slabs that are not full; this program.
constexpr std::uint64_t kFixedBytes = std::uint64_t{10} << 20;
static_assert(kFixedBytes < kCacheMegabytesMin << 20);

constexpr std::uint64_t kSetOneIn = 20;
// A prime above any number of items: multiples of it go to each of them once.
constexpr std::uint64_t kScatter = 4294967311;

}  // namespace

std::uint64_t items_in(std::uint64_t megabytes) {
  return ((megabytes << 20) - kFixedBytes) / kItemBytes;
}

std::string Items::key(std::uint64_t item) {
  return printed("item:%016llx", static_cast<unsigned long long>(item));
}

std::string Items::value(std::uint64_t item) const {
  if (writes_[item] == 0) {
    return "";
  }
  Random random(mix(mix(seed_, item), writes_[item]));
  std::string bytes(kValueBytesMin + random.below(kValueBytesMax - kValueBytesMin + 1), '\0');
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.next();
    std::memcpy(bytes.data() + at, &word, std::min(sizeof(word), bytes.size() - at));
  }
  return bytes;
}

std::string Items::next_value(std::uint64_t item) {
  ++writes_[item];
  return value(item);
}

Request Requests::next() {
  const double place = random_.fraction();
  const auto rank = static_cast<std::uint64_t>(place * place * place * static_cast<double>(items_));
  return {rank * kScatter % items_, random_.below(kSetOneIn) == 0};
}

}  // namespace fallow::guests
