// What a recording holds: the operations of all clients, what was known of the clients meanwhile,
// and marks that whoever recorded has set. Times are nanoseconds since the recording began.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow::recording {

enum class Kind : std::uint8_t {
  kPut = 0,
  kGet = 1,
  kRead = 2,  // a disk's page that its backing store had: what a get is for a page in memory
  kFlush = 3,
  kFlushObject = 4,
  kFlushPool = 5,
  kClientGone = 6,  // with all its pages
};
inline constexpr std::uint8_t kKinds = 7;

// What came of it. Of a put: it was stored, or refused. Of a get: the page was there, or not.
enum class Outcome : std::uint8_t {
  kDone = 0,
  kNot = 1,
  kWithoutFrame = 2,  // a put page of one repeated word, which takes none
};
inline constexpr std::uint8_t kOutcomes = 3;

// As it is in the file: 32 bytes, little-endian.
struct Operation {
  std::uint64_t at_ns = 0;
  std::uint64_t object = 0;
  std::uint32_t index = 0;
  std::uint32_t pool = 0;
  std::uint32_t client = 0;
  Kind kind = Kind::kPut;
  Outcome outcome = Outcome::kDone;
  std::uint16_t zero = 0;
  bool operator==(const Operation&) const = default;
};
static_assert(sizeof(Operation) == 32);

struct CurvePoint {
  std::uint64_t pages = 0;
  std::uint32_t misses_per_million = 0;
  bool operator==(const CurvePoint&) const = default;
};

// What was known of a client at one moment.
struct ClientNote {
  std::uint64_t at_ns = 0;
  std::uint32_t client = 0;
  std::string name{};
  bool is_disk = false;  // a VM's: its pages have their own places in the backing store
  std::uint64_t quota_min = 0;
  std::uint64_t quota_max = UINT64_MAX;
  std::uint32_t quota_weight = 100;
  // What it said of its memory; zeros: nothing.
  std::uint64_t ram_limit_pages = 0;
  std::uint64_t resident_pages = 0;
  std::uint64_t faults_total = 0;
  std::uint64_t evictions_total = 0;
  std::vector<CurvePoint> curve{};
  bool operator==(const ClientNote&) const = default;
};

enum class MarkKind : std::uint8_t {
  kPoint = 0,  // the client has come so far
  kBegin = 1,  // it begins to run something
  kEnd = 2,    // it has ended that
  kStop = 3,   // it is stopped, however far it has come: else it would have gone on for ever
};
inline constexpr std::uint8_t kMarkKinds = 4;

// What a client did at a moment, and what that waited for: the marks `after`, and then `delay_ns`.
struct Mark {
  std::uint64_t at_ns = 0;
  std::uint32_t id = 0;  // not 0, and each once
  MarkKind kind = MarkKind::kPoint;
  std::string client{};
  std::vector<std::uint32_t> after{};
  std::uint64_t delay_ns = 0;
  bool operator==(const Mark&) const = default;
};

// Of the node that was recorded.
struct NodeNote {
  std::uint64_t started_ns = 0;  // of CLOCK_MONOTONIC
  std::uint64_t frames = 0;
  std::uint64_t interval_ns = 0;
  std::string policy{};
  std::string version{};
  bool operator==(const NodeNote&) const = default;
};

struct Recording {
  NodeNote node{};
  std::vector<Operation> operations{};  // in the order of their times
  std::vector<ClientNote> notes{};      // the same
  std::vector<Mark> marks{};            // the same
  std::uint64_t missing = 0;            // operations that were dropped, as the reader was too slow
  bool whole = false;                   // it was ended, and not cut off
};

}  // namespace fallow::recording
