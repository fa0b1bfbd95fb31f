// What is known of the clients' pages beyond their RAM, kept over the intervals for policies that
// go by it: how often they are read back, of late, and how long that takes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "base/units.h"
#include "device/swap_device.h"
#include "node/views.h"
#include "policy/policy.h"
#include "tmem/store.h"

namespace fallow::node {

// By how much a count of a client's went up. The process behind it may be another one by now, which
// counts from 0 again.
constexpr std::uint64_t risen(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

// Of one client since it came, or since it began to count.
struct DemandTotals {
  std::uint64_t backing_reads = 0;  // pages
  std::uint64_t backing_wait_ns = 0;
  std::uint64_t backing_pages = 0;  // now
  std::optional<policy::MissRatioCurve> curve{};
  std::uint64_t ram_pages = 0;
};

DemandTotals demand_of(const DeviceStatistics& device);
// None when the report is older than some seconds: the client says nothing any more.
std::optional<DemandTotals> demand_of(const MemoryReport& report);

// One thread at a time.
class Demands {
 public:
  // What is counted so far counts less from now on: once an interval, which took so long, before
  // what it came to is noted.
  void fade(std::uint64_t interval_ns);
  // Of a client that is not named nothing is known.
  void note_totals(const std::map<ClientId, DemandTotals>& totals);
  // Of the interval.
  void note_reads(const tmem::ClientStatistics& client);
  void forget_all_but(const std::set<ClientId>& clients);

  [[nodiscard]] policy::Demand of(ClientId client) const;

 private:
  struct Entry {
    policy::Demand demand{};
    DemandTotals totals{};
  };
  std::map<ClientId, Entry> entries_;
};

}  // namespace fallow::node
