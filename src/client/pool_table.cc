#include "client/pool_table.h"

namespace fallow::client {
namespace {

constexpr std::uint32_t kSerials = (std::uint32_t{1} << 24) - 1;  // of a handle's 32 bits
static_assert((std::uint64_t{kSerials} * PoolTable::kPoolsMax + PoolTable::kPoolsMax - 1) >> 32 ==
              0);

std::uint64_t make_entry(std::uint32_t serial, std::uint32_t pool) {
  return std::uint64_t{serial} << 32 | pool;
}

}  // namespace

std::optional<PoolHandle> PoolTable::add(const PoolLabel& label, std::uint32_t pool) {
  const auto place = place_of(label);
  if (!place || (entries_[*place] == 0 && serial_ == kSerials)) {
    return std::nullopt;
  }
  std::uint64_t entry = entries_[*place];
  if (entry == 0) {
    labels_[*place] = label;
    entry = make_entry(++serial_, pool);
  }
  entries_[*place] = make_entry(static_cast<std::uint32_t>(entry >> 32), pool);
  return static_cast<std::uint32_t>(entry >> 32) * kPoolsMax + *place;
}

// Where the label is, or else a free place.
std::optional<std::uint32_t> PoolTable::place_of(const PoolLabel& label) const {
  std::optional<std::uint32_t> free;
  for (std::uint32_t i = 0; i < kPoolsMax; ++i) {
    if (entries_[i] == 0) {
      free = free ? free : i;
    } else if (labels_[i].kind == label.kind && labels_[i].label == label.label) {
      return i;
    }
  }
  return free;
}

void PoolTable::remove(PoolHandle handle, std::uint32_t pool) {
  if (find(handle) == pool) {
    entries_[handle % kPoolsMax] = 0;
  }
}

void PoolTable::remove_all() {
  for (auto& entry : entries_) {
    entry = 0;
  }
}

std::vector<PoolTable::Live> PoolTable::live() const {
  std::vector<Live> live;
  for (std::uint32_t i = 0; i < kPoolsMax; ++i) {
    if (const std::uint64_t entry = entries_[i]; entry != 0) {
      live.push_back({static_cast<std::uint32_t>(entry >> 32) * kPoolsMax + i, labels_[i]});
    }
  }
  return live;
}

void PoolTable::renumber(PoolHandle handle, std::uint32_t pool) {
  if (find(handle)) {
    entries_[handle % kPoolsMax] = make_entry(handle / kPoolsMax, pool);
  }
}

}  // namespace fallow::client
