// The pools that a client has opened. The program holds a handle; the daemon's number behind it may
// change when the client comes back, and a handle whose pages are gone never leads to other pages:
// it carries a serial number that is not used twice.
//
// find(): any thread. All else: under the Client's mutex.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace fallow::client {

using PoolHandle = std::uint32_t;  // fallow_pool

struct PoolLabel {
  std::uint32_t kind = 0;  // fallow_pool_kind
  std::uint64_t label = 0;
};

class PoolTable {
 public:
  // Live at once.
  static constexpr std::uint32_t kPoolsMax = 256;

  // The daemon's number for it; none: the handle is stale.
  [[nodiscard]] std::optional<std::uint32_t> find(PoolHandle handle) const {
    // relaxed: whoever has the handle has it from add(), by way of its own synchronisation.
    const std::uint64_t entry = entries_[handle % kPoolsMax].load(std::memory_order_relaxed);
    if (handle / kPoolsMax == 0 || entry >> 32 != handle / kPoolsMax) {
      return std::nullopt;
    }
    return static_cast<std::uint32_t>(entry);
  }

  // The handle of the pool with this label, which the daemon calls `pool`. None: the table is full.
  std::optional<PoolHandle> add(const PoolLabel& label, std::uint32_t pool);
  // The daemon has destroyed its `pool`; the handle lives on if it leads to another one by now.
  void remove(PoolHandle handle, std::uint32_t pool);
  void remove_all();

  struct Live {
    PoolHandle handle;
    PoolLabel label;
  };
  [[nodiscard]] std::vector<Live> live() const;
  // The daemon calls it `pool` from now on.
  void renumber(PoolHandle handle, std::uint32_t pool);

 private:
  std::optional<std::uint32_t> place_of(const PoolLabel& label) const;

  // Serial number, and the daemon's number in the lower half; 0: free.
  std::array<std::atomic<std::uint64_t>, kPoolsMax> entries_{};
  std::array<PoolLabel, kPoolsMax> labels_{};
  std::uint32_t serial_ = 0;
};

}  // namespace fallow::client
