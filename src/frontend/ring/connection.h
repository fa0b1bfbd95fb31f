// A client that has said who it is, and what it shares with all the others.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/units.h"
#include "frontend/ring/quota.h"
#include "ring/abi.h"

namespace fallow::ring {

// Of all clients together. What one connection may have is in the ABI, but for entries.
struct Limits {
  std::uint64_t connections = 256;
  std::uint64_t queues = 4096;  // each costs a file descriptor
  std::uint64_t queue_entries = 256 * 1024;
  std::uint64_t regions = 16 * 1024;
};

// Counted by whichever thread serves, read by any.
struct Counters {
  std::atomic<std::uint64_t> connected{0};    // now
  std::atomic<std::uint64_t> connections{0};  // ever welcomed
  std::atomic<std::uint64_t> refused{0};      // said Hello in vain, or not at all
  std::atomic<std::uint64_t> cut_off{0};      // had broken the rules
  std::atomic<std::uint64_t> entries{0};      // carried out
};

// What the connections of one server share. It stays until the last of them has gone.
struct Shared {
  explicit Shared(const Limits& limits)
      : queues(std::make_shared<Quota>(limits.queues)),
        queue_entries(std::make_shared<Quota>(limits.queue_entries)),
        regions(std::make_shared<Quota>(limits.regions)) {}
  std::shared_ptr<Quota> queues;
  std::shared_ptr<Quota> queue_entries;
  std::shared_ptr<Quota> regions;
  Counters counters;
};

struct Connection {
  UniqueFd socket;
  std::string name;  // as it says; a name that the daemon accepts
  Secret secret;     // as it says
  uid_t uid = 0;     // as the kernel says
  std::uint16_t version = 0;
  Epoch epoch;  // of the daemon
  Lease lease;  // of the connections
  std::shared_ptr<Shared> shared;
};

}  // namespace fallow::ring
