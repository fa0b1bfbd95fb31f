// The ring ABI: how a client process and the daemon share queue pairs. docs/ring-abi.md tells the
// whole story; this file is its data. Little-endian, no padding; every reserved field is zero and
// is refused otherwise, so that a later version can use it.
//
// Rare things go as messages over a Unix socket (SOCK_SEQPACKET, one message a packet): the
// handshake, registration of memory, opening of queue pairs. Pages go through the queue pairs, in
// shared memory that the daemon makes and seals.
//
// Source: 002 (queue pairs and tokens, which messages between VMs will use), 000 (one submission
// queue for each application).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fallow::ring {

inline constexpr std::uint32_t kMagic = 0x574c4146;  // "FALW"
// The daemon speaks every version from the first to the last; a client names its own range, and the
// highest that both speak is used.
inline constexpr std::uint16_t kVersionFirst = 1;
inline constexpr std::uint16_t kVersionLast = 1;

inline constexpr std::size_t kControlBytesMax = 512;
inline constexpr std::uint32_t kEntriesMin = 2;
inline constexpr std::uint32_t kEntriesMax = 1024;  // of one queue; a power of two
inline constexpr std::uint16_t kQueuesMax = 64;     // of one connection
inline constexpr std::uint32_t kRegionsMax = 64;    // of one connection
inline constexpr std::uint64_t kRegionBytesMax = std::uint64_t{64} << 30;
inline constexpr std::uint32_t kKeepSecondsMax = 600;

// Messages over the socket.

enum class ControlType : std::uint16_t {
  kHello = 1,        // client; answered by kWelcome
  kWelcome = 2,      // daemon
  kOpenQueue = 3,    // client; answered by kQueueOpened
  kQueueOpened = 4,  // daemon; brings the queue's memory and its doorbell, in this order
  kCloseQueue = 5,   // client; answered by kDone. What was in flight is dropped or done, unsaid.
  kRegister = 6,     // client; brings the region's file. Answered by kRegistered
  kRegistered = 7,   // daemon
  kUnregister = 8,   // client; answered by kDone once no entry in flight uses the region
  kDone = 9,         // daemon
  kRefused = 10,     // daemon, in place of any of the answers above
  kKeep = 11,        // client of pages; answered by kDone
  kGoodbye = 12,     // client, which leaves for good; the daemon closes the connection
};

struct ControlHeader {
  std::uint32_t magic;
  ControlType type;
  std::uint16_t bytes;  // of the whole message
};

enum class Attach : std::uint32_t {
  kPages = 1,  // `name` becomes a client of its own with pools of pages
  kDisk = 2,   // `name` is a VM of the daemon's: block operations on its disk
};

// Proves that a client which comes back, after the daemon's death or its own, is the one that went.
struct Secret {
  std::uint64_t words[2];  // zero: none
  bool operator==(const Secret&) const = default;
};

struct Hello {
  ControlHeader header;
  std::uint16_t version_first;
  std::uint16_t version_last;
  Attach attach;
  Secret secret;  // of the Welcome before, when this client comes back
  char name[80];  // zero-terminated
};

struct Welcome {
  ControlHeader header;
  std::uint16_t version;
  std::uint16_t queues_max;
  std::uint32_t regions_max;
  std::uint64_t region_bytes_max;
  Secret secret;
  std::uint32_t epoch;       // which life of the daemon
  std::uint32_t resumed;     // 1: the pages of this client's earlier connection are still there
  std::uint64_t disk_bytes;  // kDisk only
  std::uint32_t disk_block_bytes;  // kDisk only
  std::uint32_t reserved;
};

struct OpenQueue {
  ControlHeader header;
  std::uint32_t entries;  // of the submission queue and of the completion queue
  std::uint32_t reserved;
};

struct QueueOpened {
  ControlHeader header;
  std::uint32_t queue;
  std::uint32_t entries;
  std::uint64_t bytes;  // of the shared memory: queue_bytes(entries)
};

struct CloseQueue {
  ControlHeader header;
  std::uint32_t queue;
  std::uint32_t reserved;
};

struct Register {
  ControlHeader header;
  std::uint64_t bytes;  // of the file, from its beginning; a multiple of 4096
};

struct Registered {
  ControlHeader header;
  std::uint32_t token;  // names the region in submission entries; never 0
  std::uint32_t reserved;
};

struct Unregister {
  ControlHeader header;
  std::uint32_t token;
  std::uint32_t reserved;
};

struct Done {
  ControlHeader header;
};

struct Refused {
  ControlHeader header;
  std::int32_t error;  // an errno value
  std::uint32_t reserved;
  char text[240];  // one line, zero-terminated
};

// How long the client's pages wait for it when a connection ends without a kGoodbye. It holds for
// all connections with this client's secret until another one is sent, and outlives the daemon.
struct Keep {
  ControlHeader header;
  std::uint32_t seconds;  // up to kKeepSecondsMax; 0, which it is at first: they are dropped
  std::uint32_t reserved;
};

struct Goodbye {
  ControlHeader header;
};

// Queue pairs.

enum class Opcode : std::uint8_t {
  kNop = 0,

  // Attach::kPages. Entries of one queue are carried out in their order; `length` is 4096 where
  // data moves.
  kPut = 1,          // pool, object, index; data at token, address
  kGet = 2,          // pool, object, index; data to token, address
  kFlushPage = 3,    // pool, object, index. Result: pages freed, 0 or 1
  kFlushObject = 4,  // pool, object. Result value: pages freed
  kOpenPool = 5,     // index: PoolKind; object: a label of the client's choice. Makes the client's
                     // pool of that label, or finds it. Result value: the pool
  kDestroyPool = 6,  // pool
  kStatistics = 7,   // a Statistics to token, address; length: sizeof(Statistics)
  kReport = 8,       // a MemoryReport at token, address; length: sizeof(MemoryReport)

  // Attach::kDisk. `object` is the offset in bytes. Entries may be carried out in any order, as
  // those of any disk: who needs an order waits for completions.
  kRead = 16,     // length; data to token, address
  kWrite = 17,    // length; data at token, address
  kSync = 18,     // what completed before is on stable storage, as far as the backing store has it
  kDiscard = 19,  // length, up to kDiskRangeMax
  kWriteZeroes = 20,  // length, up to kDiskRangeMax
  kExtent = 21,       // length. Result value: how many pages from the offset on have one state;
                      // result 1 when they are a hole, else 0

  // 32 to 63 are kept for messages between clients: send, receive, and read or write of another
  // client's region by its token.
};

inline constexpr std::uint32_t kTransferBytesMax = std::uint32_t{1} << 20;  // of kRead and kWrite
inline constexpr std::uint32_t kDiskRangeMax = 0xfffff000;

struct Submission {
  Opcode opcode;
  std::uint8_t flags;  // none yet
  std::uint16_t reserved0;
  std::uint32_t token;
  std::uint64_t user_data;  // comes back in the completion
  std::uint64_t address;    // bytes from the region's beginning; pages: any alignment
  std::uint32_t length;     // bytes
  std::uint32_t pool;
  std::uint64_t object;
  std::uint32_t index;
  std::uint32_t reserved1;
  std::uint64_t reserved2[2];
};

// `result` is 0 or what the opcode says, or a negative errno value:
//   -ENOENT   get: there is no such page
//   -EDQUOT   put: the client holds its target          } in both cases a page that the key had
//   -ENOSPC   put: no frame is free                     } before is gone too
//   -EIO      the page was lost, and is until it is put or flushed; or the disk failed
//   -ESTALE   there is no such pool
//   -EFAULT   no such region, or not within it
//   -EINVAL   anything else that is wrong with the entry
//   -ENOMEM   open pool: there are too many
struct Completion {
  std::uint64_t user_data;
  std::int32_t result;
  std::uint32_t value;
};

struct Statistics {
  std::uint64_t used;      // frames
  std::uint64_t target;    // frames
  std::uint64_t patterns;  // pages of one repeated word, held without a frame
  std::uint64_t puts_total;
  std::uint64_t puts_succ;
  std::uint64_t gets_total;
  std::uint64_t gets_succ;
  std::uint64_t flushes_total;
  std::uint64_t pages_flushed;
  std::uint64_t pages_evicted;
  std::uint64_t node_frames;
  std::uint64_t node_frames_free;
};

// What a client that serves somebody's memory says of it. The daemon shows it, and a policy that
// goes by what VMs want goes by it, within the client's quota; nothing else does. Totals count
// since the client began.
struct MissRatioPoint {
  std::uint64_t pages;  // up to kReportPagesMax; in a memory of this size
  std::uint32_t misses_per_million;
  std::uint32_t reserved;
  bool operator==(const MissRatioPoint&) const = default;
};
inline constexpr std::uint64_t kReportPagesMax = std::uint64_t{1} << 51;  // of every count of pages
inline constexpr std::uint32_t kCurvePointsMax = 16;
struct MemoryReport {
  std::uint64_t ram_limit_pages;      // that it may keep in RAM
  std::uint64_t resident_pages;       // that it does
  std::uint64_t faults_total;         // pages that were not there when they were wanted
  std::uint64_t evictions_total;      // pages that had to go from RAM
  std::uint64_t prefetched_total;     // pages that were brought in unasked
  std::uint64_t prefetch_hits_total;  // of these, wanted afterwards
  std::uint64_t backing_pages;        // that are in a store of its own
  std::uint64_t working_set_pages;    // in use of late
  std::uint32_t curve_points;
  std::uint32_t reserved0;
  std::uint64_t backing_reads_total;    // pages read from that store
  std::uint64_t backing_wait_ns_total;  // how long that took
  std::uint64_t reserved[5];
  // Pages rise strictly, misses do not rise; zeros behind the points that there are.
  MissRatioPoint curve[kCurvePointsMax];
};

// The head of a queue's shared memory. Indices count entries from 0 and wrap at 2^32; an entry's
// place is its index modulo the number of entries. Each side writes its own line only, and trusts
// nothing in the other's: a daemon that finds `submitted` further ahead than there are entries, or
// `consumed` outside of what it has completed, cuts the client off.
//
// Waiting, either way round: who is going to sleep stores 1 in its `waiting` word, fences, looks
// once more for news and then sleeps; who has news publishes it, fences, looks at the other's
// `waiting` and wakes it when that is 1. The daemon sleeps on the doorbell, an eventfd. The client
// sleeps with FUTEX_WAIT (shared) on `completed`, and looks after the socket now and then, as a
// daemon that died wakes nobody.
struct alignas(64) ClientLine {
  std::uint32_t submitted;  // entries published: the submission queue's tail
  std::uint32_t consumed;   // completions taken: the completion queue's head
  std::uint32_t waiting;    // the client sleeps on `completed`
  std::uint32_t reserved[13];
};
struct alignas(64) DaemonLine {
  std::uint32_t taken;      // entries taken: the submission queue's head; their slots may be reused
  std::uint32_t completed;  // completions published: the completion queue's tail
  std::uint32_t waiting;    // the daemon sleeps on the doorbell
  std::uint32_t reserved[13];
};

struct QueueHead {
  ClientLine client;
  DaemonLine daemon;
};

// Behind the head: Submission[entries], then Completion[entries]. The daemon takes no entry that it
// may have no room to complete: at most `entries` are between submission and consumption.
inline constexpr std::uint64_t kSubmissionsOffset = 4096;
constexpr std::uint64_t completions_offset(std::uint32_t entries) {
  return kSubmissionsOffset + entries * sizeof(Submission);
}
constexpr std::uint64_t queue_bytes(std::uint32_t entries) {
  const std::uint64_t end = completions_offset(entries) + entries * sizeof(Completion);
  return (end + 4095) / 4096 * 4096;
}

static_assert(sizeof(Submission) == 64 && sizeof(Completion) == 16);
static_assert(sizeof(MemoryReport) == 384);
static_assert(sizeof(QueueHead) == 128 && sizeof(QueueHead) <= kSubmissionsOffset);
static_assert(sizeof(Hello) == 8 + 8 + 16 + 80 && sizeof(Welcome) == 64);
static_assert(sizeof(Refused) <= kControlBytesMax);
static_assert(std::is_trivially_copyable_v<Submission> && std::is_trivially_copyable_v<Hello>);

}  // namespace fallow::ring
