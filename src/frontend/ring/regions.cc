#include "frontend/ring/regions.h"

#include <algorithm>
#include <span>

#include "base/check.h"
#include "base/units.h"

namespace fallow::ring {
namespace {

constexpr std::uint32_t kGenerations = UINT32_MAX / kRegionsMax;

}  // namespace

Result<std::uint32_t> Regions::add(int fd, std::uint64_t bytes) {
  if (bytes > kRegionBytesMax - bytes_) {
    return invalid("a client's regions have at most " + std::to_string(kRegionBytesMax) +
                   " bytes together");
  }
  if (bytes % kPageSize != 0) {
    return invalid("a region has a multiple of " + std::to_string(kPageSize) + " bytes");
  }
  const auto free = std::find_if(regions_.begin(), regions_.end(),
                                 [](const Region& region) { return region.token == 0; });
  if (free == regions_.end()) {
    return failed("a client has at most " + std::to_string(kRegionsMax) + " regions");
  }
  auto lease = Lease::take(quota_, 1);
  if (!lease) {
    return failed("the daemon's clients have as many regions as it can watch");
  }
  auto memory = ForeignMemory::map(fd, 0, bytes);
  if (!memory) {
    return memory.error();
  }
  const auto slot = static_cast<std::uint32_t>(free - regions_.begin());
  free->generation = free->generation % (kGenerations - 1) + 1;
  free->token = free->generation * kRegionsMax + slot;
  free->memory = std::move(*memory);
  free->lease = std::move(*lease);
  free->closed = false;
  used_ = std::max(used_, std::size_t{slot} + 1);
  bytes_ += bytes;
  return free->token;
}

bool Regions::close(std::uint32_t token) {
  Region& region = regions_[token % kRegionsMax];
  if (token == 0 || region.token != token || region.closed) {
    return false;
  }
  region.closed = true;
  return true;
}

void Regions::remove(std::uint32_t token) {
  Region& region = regions_[token % kRegionsMax];
  CHECK(region.token == token && region.closed && region.pins == 0);
  bytes_ -= region.memory.size();
  region.memory = {};
  region.lease = {};
  region.token = 0;
}

bool Regions::broken() const {
  const auto used = std::span(regions_).first(used_);
  return std::any_of(used.begin(), used.end(), [](const Region& region) {
    return region.token != 0 && region.memory.broken();
  });
}

}  // namespace fallow::ring
