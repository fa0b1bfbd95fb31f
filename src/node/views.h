// What the control service shows of a node: plain figures of one moment, the same structs on the
// daemon's side and on the client's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"
#include "tmem/store.h"

namespace fallow::node {

// What an operator asks for a VM or a client: sizes such as "64M", or percentages of the node such
// as "10%". Empty, or 0: nothing is said of it.
struct QuotaRequest {
  std::string min{};
  std::string max{};  // "none" takes it away
  std::uint32_t weight = 0;
  bool operator==(const QuotaRequest&) const = default;
};

// What has been said of a name.
struct QuotaView {
  std::string name{};
  QuotaRequest request{};
  policy::Quota quota{};  // what it is in pages of this node
  bool present = false;   // a VM or a client of that name is there
};

struct NodeView {
  std::string version{};
  std::uint32_t epoch = 0;
  std::uint64_t uptime_ns = 0;
  std::uint64_t frames_total = 0;
  std::uint64_t frames_free = 0;
  std::uint64_t patterns = 0;  // pages of one repeated word, held without a frame
  std::uint64_t compressed_pages = 0;
  std::uint64_t compressed_bytes = 0;  // of the frames that hold them
  std::uint64_t interval_ns = 0;
  std::string policy{};         // with its settings in full
  std::uint64_t intervals = 0;  // ticks of the controller since the start
  std::uint64_t decisions = 0;  // ticks in which the policy was asked
  std::uint64_t target_changes = 0;
  std::uint64_t vm_count = 0;
  std::uint32_t workers = 0;    // threads that serve the VMs' disks
  std::string backing_speed{};  // of the VMs' backing files, as DiskSpeed describes it
};

struct VmView {
  std::string name{};
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size = 0;
  std::string socket_path{};
  std::string backing_path{};
  bool connected = false;    // a front end holds the socket
  std::uint64_t used = 0;    // frames held
  std::uint64_t target = 0;  // frames it may hold
  std::uint64_t patterns = 0;
  tmem::Compression compression = tmem::Compression::kOff;
  std::uint64_t compressed_pages = 0;
  std::uint64_t compressed_bytes = 0;  // of the frames, counted in `used`, that hold them
  std::uint64_t backing_pages = 0;
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
  tmem::Counters total{};                       // since the VM came
  tmem::Counters interval{};                    // of the last full interval
  std::uint64_t put_p50_ns = 0;
  std::uint64_t put_p99_ns = 0;
  std::uint64_t get_p50_ns = 0;
  std::uint64_t get_p99_ns = 0;
  // Pages that the device's reads and writes met.
  std::uint64_t memory_reads = 0;
  std::uint64_t backing_reads = 0;
  std::uint64_t hole_reads = 0;
  std::uint64_t memory_writes = 0;
  std::uint64_t backing_writes = 0;
  std::uint64_t io_errors = 0;
  std::uint64_t lost_pages = 0;  // answer with an error until they are written
  std::string reason{};          // of the last decision for this VM; empty before the first
  std::uint32_t worker = 0;      // that serves the disk now
  policy::Quota quota{};
};

struct MissRatioPoint {
  std::uint64_t pages = 0;
  std::uint32_t misses_per_million = 0;
};

// What a client says of its own memory, when it says something. Nobody has checked that it is true.
struct MemoryReport {
  std::uint64_t age_ns = 0;
  std::uint64_t ram_limit_pages = 0;
  std::uint64_t resident_pages = 0;
  std::uint64_t faults_total = 0;
  std::uint64_t evictions_total = 0;
  std::uint64_t prefetched_total = 0;
  std::uint64_t prefetch_hits_total = 0;
  std::uint64_t backing_pages = 0;
  std::uint64_t working_set_pages = 0;
  std::uint64_t backing_reads_total = 0;
  std::uint64_t backing_wait_ns_total = 0;
  // Between the last report and the one before it; zeros when there was none.
  std::uint64_t interval_ns = 0;
  std::uint64_t interval_faults = 0;
  std::uint64_t interval_evictions = 0;
  std::vector<MissRatioPoint> curve{};  // pages rise, misses fall
};

// A process that keeps pages here over a ring.
struct ClientView {
  std::string name{};
  bool connected = false;  // else its pages wait for it to come back
  std::uint64_t used = 0;
  std::uint64_t target = 0;
  std::uint64_t patterns = 0;
  tmem::Counters total{};
  tmem::Counters interval{};
  std::string reason{};
  std::optional<MemoryReport> report{};
  policy::Quota quota{};
};

struct NodeSnapshot {
  NodeView node{};
  std::vector<VmView> vms{};          // by name
  std::vector<ClientView> clients{};  // by name
};

// What it takes to add a VM.
struct VmRequest {
  std::string name{};
  std::uint64_t size_bytes = 0;
  std::string backing_path{};    // absolute; empty: a file of the daemon's own, created on demand
  bool discard_backing = false;  // what the backing file holds may be overwritten
  tmem::Compression compression = tmem::Compression::kOff;
  QuotaRequest quota{};
};

enum class RemoveMode { kIfIdle, kForce };  // kForce: even while a front end is connected

// A target that a decision changed.
struct TargetChange {
  std::uint64_t age_ns = 0;
  std::uint64_t target_before = 0;
  std::uint64_t target_after = 0;
  std::uint64_t used = 0;         // at that moment
  std::uint64_t puts_failed = 0;  // in the interval before it
  std::string policy{};
  std::string reason{};
};

// A target that rose in the same decision.
struct TargetRise {
  std::string name{};
  std::uint64_t pages = 0;
};

// A target that fell, and whose rose as it did. Names may be of VMs that have gone since.
struct TargetLoss {
  TargetChange change{};
  std::vector<TargetRise> rises{};  // the largest first, a few at most
  std::uint64_t others = 0;         // that rose besides
  std::uint64_t others_pages = 0;   // by so much together
};

// What the controller remembers of one VM's target.
struct TargetHistory {
  std::uint64_t known_ns = 0;             // for how long the controller has known the VM
  std::vector<TargetChange> changes{};    // the latest first, a few at most
  std::optional<TargetLoss> last_loss{};  // none so far: empty
  // Reads of the backing store of late that a tenth more would have saved; empty: not known.
  std::optional<double> reads_saved_by_tenth{};
};

struct Explanation {
  VmView vm{};
  std::optional<ClientView> client{};  // in the place of a VM
  std::string policy{};
  std::vector<std::string> findings{};  // sentences for people, the most telling first
  TargetHistory history{};
};

struct PolicyView {
  std::string name{};
  std::string summary{};
  std::string settings{};  // names, ranges and defaults; empty when there are none
};

struct CurrentPolicy {
  std::string spec{};
  PolicyView policy{};
};

struct PolicySwitch {
  std::string spec{};  // now, with every setting in full
  std::string previous{};
};

}  // namespace fallow::node
