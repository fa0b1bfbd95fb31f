// The frame table: what each frame holds, kept in shared memory beside the frames so that it
// outlives the daemon. Source: 004, §2.2.2 and §6.2 (frame ownership); the crash story is ours.
//
// FORMAT, version 3, little-endian, one file:
//   offset 0                 TableHeader, twice, kHeaderStride apart: a life writes the one that
//   its
//                            epoch's last bit names, so that one of them is whole at any moment.
//                            The higher epoch counts.
//   kClientsOffset           ClientRecord[kClientsMax]
//   kPoolsOffset             PoolRecord[kPoolsMax]
//   kRecordsOffset           FrameRecord[frames + kSpareFrames]     record i describes frame i
//   behind them              FrameRecord[patterns]   pages of one repeated word: they hold no frame
//   behind those             FrameRecord[slots]      compressed pages, in slots of slabs
//
// A SLAB is an aligned block of kSlabFrames frames, cut into equal slots that hold one client's
// compressed pages (tmem/slab.h). The record of its first frame is kSlab: `object` is the client's
// id, `index` the size class. Its other frames' records are kFree.
//
// CRASH STORY. A process that dies leaves its stores in shared memory in program order (x86-64; the
// non-temporal ones are fenced before a record is published). A record says by its `state` how much
// of it may be believed, and the state is always stored last:
//   kFree       nothing. All other fields are stale.
//   kFilling    a first put of a key was under way and not acknowledged: the record is to be freed.
//   kHeld       the page is whole: key, checksum and generation are good. Acknowledged, or about
//               to be.
//   kLost       recovery found that the page is not whole. The key, which is good, must answer with
//               an error until it is written or flushed.
//   kRedo       of a spare frame: record `object` (a pattern's or a slot's) was being overwritten,
//               and is to be given this one's content, generation and epoch; a slot also the first
//               `index` bytes of this frame.
//
// Putting: fields and data, then kHeld. Freeing: kFree first, then the frame returns to the zone. A
// page that is replaced is written elsewhere first (a spare frame, another slot, a redo record), so
// that a killed process leaves the old page or the new. Moving a key between records holds two
// kHeld records for a moment: the newer generation counts (`newer_generation`), the other is to be
// freed.
//
// A slab is kSlab before the first record says that a page is in one of its slots, and kFree after
// the last of them is. What a dead life left in a slot belongs to the record that is kHeld; one
// that is kLost has lost its slot and keeps its key.
//
// `seal` covers the fields but the state, `content` covers the data: a record or page that was
// damaged is told from one that is whole. The host losing power loses the file: it is on tmpfs or
// hugetlbfs.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "base/units.h"

namespace fallow::memory {

inline constexpr std::uint64_t kTableMagic = 0x31424154574c4146;  // "FALWTAB1"
inline constexpr std::uint32_t kTableVersion = 3;
inline constexpr std::uint32_t kClientsMax = 1024;
inline constexpr std::uint32_t kPoolsMax = 4096;
// Frames beyond those that can be held, which replacements are written to.
inline constexpr std::uint32_t kSpareFrames = 64;
inline constexpr unsigned kSlabOrder = 2;
inline constexpr std::uint32_t kSlabFrames = 1u << kSlabOrder;

struct TableHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t record_bytes;
  std::uint64_t frames;
  std::uint64_t patterns;
  std::uint64_t slots;
  std::uint32_t epoch;  // which life of the node: raised at every start
  std::uint16_t node;   // home of these frames
  std::uint16_t reserved;
  std::uint32_t seal;  // covers the fields above
};

struct ClientRecord {
  std::uint32_t id;            // 0: free
  std::uint32_t last_id;       // of this slot's last client, so that ids are not used twice
  char name[72];               // zero-terminated
  std::uint64_t target;        // frames it may hold
  std::uint64_t secret[2];     // tells a client that comes back from one that takes its name
  std::uint32_t compression;   // tmem::Compression
  std::uint32_t keep_seconds;  // how long its pages wait for it to come back; 0: it asked for none
};

inline constexpr std::uint32_t kSuspectPool = 0x100;

struct PoolRecord {
  std::uint32_t id;  // 0: free
  std::uint32_t client;
  std::uint32_t kind;  // tmem::PoolKind; kSuspectPool too when it may miss pages (tmem/recovery.cc)
  std::uint32_t last_id;  // of this slot's last pool
  std::uint64_t label;    // the client's name for it
};

enum class FrameState : std::uint16_t {
  kFree = 0,
  kFilling = 1,
  kHeld = 2,
  kLost = 3,
  kSlab = 4,
  kRedo = 5
};

struct FrameRecord {
  std::uint64_t object;
  // Checksum of the page (page_checksum); in a pattern record the word itself; in a slot's record
  // where the slot is, and the checksum of what it holds (slot_content).
  std::uint64_t content;
  std::uint32_t index;
  std::uint32_t pool;
  std::uint32_t generation;  // of the key: each put of it raises it by one
  std::uint32_t epoch;       // the owner's, when the page was put
  std::uint16_t owner;       // the node that may use the frame
  FrameState state;          // through load_state() and publish() only
  std::uint32_t seal;        // seal_of()
};

static_assert(sizeof(FrameRecord) == 40);
static_assert(sizeof(ClientRecord) == 112);
static_assert(sizeof(PoolRecord) == 24);
static_assert(std::is_trivially_copyable_v<FrameRecord>);

inline constexpr std::uint64_t kHeaderStride = 512;
inline constexpr std::uint64_t kClientsOffset = kPageSize;
inline constexpr std::uint64_t kPoolsOffset = kClientsOffset + kClientsMax * sizeof(ClientRecord);
inline constexpr std::uint64_t kRecordsOffset = kPoolsOffset + kPoolsMax * sizeof(PoolRecord);
static_assert(sizeof(TableHeader) <= kHeaderStride && kRecordsOffset % kPageSize == 0);

// CRC-32C of every field but state and seal.
std::uint32_t seal_of(const FrameRecord& record);
std::uint32_t seal_of(const TableHeader& header);

// Slots begin at multiples of kSlotGranule; a place is counted in these from the arena's start.
inline constexpr std::uint64_t kSlotGranule = 64;
inline constexpr std::uint64_t kSlotArenaBytesMax =
    (kSlotGranule << 32) - (kSpareFrames << kPageShift);

inline std::uint64_t slot_content(std::uint32_t place, std::uint32_t checksum) {
  return std::uint64_t{place} << 32 | checksum;
}
inline std::uint32_t slot_place(const FrameRecord& record) {
  return static_cast<std::uint32_t>(record.content >> 32);
}
inline std::uint32_t slot_checksum(const FrameRecord& record) {
  return static_cast<std::uint32_t>(record.content);
}

inline bool newer_generation(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

inline FrameState load_state(FrameRecord& record) {
  return std::atomic_ref(record.state).load(std::memory_order_acquire);  // pairs with publish()
}

// Stores the state after everything that was written before, and before anything that is written
// after: the compiler must not carry data across it either way.
inline void publish(FrameRecord& record, FrameState state) {
  std::atomic_ref(record.state).store(state, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace fallow::memory
