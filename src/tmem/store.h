// The page store: transcendent memory (004, §1.3.3) with a target for each client (Algorithm 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/result.h"
#include "base/units.h"

namespace fallow::memory {
class Arena;
}

namespace fallow::tmem {

// What names a page. A device uses one object and the page's number in it as index.
struct PageKey {
  PoolId pool;
  std::uint64_t object = 0;
  std::uint32_t index = 0;
  auto operator<=>(const PageKey&) const = default;
};

enum class PoolKind : std::uint8_t {
  kPersistent,  // a put page stays until it is flushed
  kEphemeral,   // a put page may be dropped at any time, least recently used first
};

enum class PutResult : std::uint8_t {
  kStored,
  kOverTarget,  // the client holds its target, or its target is 0: the pool is closed
  kNoFrame,     // no frame is free
  kNoPool,      // no such pool, or it is being destroyed
};

enum class GetResult : std::uint8_t { kFound, kMissing };

// Counters of 004, Table 2.1 and their kin: since the client came.
struct Counters {
  std::uint64_t puts_total = 0;
  std::uint64_t puts_succ = 0;
  std::uint64_t gets_total = 0;
  std::uint64_t gets_succ = 0;
  std::uint64_t flushes_total = 0;  // flush operations asked for
  std::uint64_t pages_flushed = 0;  // pages that they freed
  std::uint64_t pages_evicted = 0;  // ephemeral pages that gave way
  std::uint64_t pages_demoted = 0;  // pages moved to the backing store
};

struct ClientStatistics {
  ClientId id;
  std::string name;
  std::uint64_t used = 0;      // frames held
  std::uint64_t target = 0;    // frames it may hold
  std::uint64_t patterns = 0;  // pages of one repeated word, held without a frame
  Counters total;              // since the client came
  Counters interval;           // since the last take_interval()
};

struct LatencySnapshot {
  Histogram::Snapshot put_ns;
  Histogram::Snapshot get_ns;
};

}  // namespace fallow::tmem
