// Policies: statistics of one interval in, targets with reasons out. Pure functions: no clock, no
// I/O, no state; the daemon, `fallow policy eval` and the tests call the same code (004, §2.2.5).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/miss_ratio_curve.h"

namespace fallow::policy {

// What is known of a VM's pages beyond its RAM, besides what passes through memory. What is counted
// fades: each interval counts a part of what the one after it does (kFade).
struct Demand {
  static constexpr double kFade = 0.95;

  bool known = false;
  double memory_reads = 0;     // pages read back from memory, of late
  double backing_reads = 0;    // pages read back from the backing store, of late
  double backing_wait_ns = 0;  // how long these took; 0: not known
  double elapsed_ns = 0;       // in which all that was
  std::uint64_t backing_pages = 0;
  // Of all that the VM uses, by the size of RAM and frames together; empty: not known.
  std::optional<MissRatioCurve> curve{};
  std::uint64_t ram_pages = 0;  // where on the curve its RAM ends
};

// What the operator has set for a VM, in pages. `min` > `max` and a weight outside of 1 to
// kWeightMax are refused where a quota is read.
struct Quota {
  static constexpr std::uint64_t kNoMax = UINT64_MAX;
  static constexpr std::uint32_t kWeightDefault = 100;
  static constexpr std::uint32_t kWeightMax = 10'000;

  std::uint64_t min = 0;       // that the VM may hold whatever others do
  std::uint64_t max = kNoMax;  // that it may hold, whatever is free
  std::uint32_t weight = kWeightDefault;

  bool operator==(const Quota&) const = default;
};

// One VM's statistics (004, Table 2.1). Pages; counters of one interval, but for `cumul_`.
struct VmStatistics {
  std::string id;
  std::uint64_t target = 0;
  std::uint64_t used = 0;
  std::uint64_t puts_total = 0;
  std::uint64_t puts_succ = 0;
  std::uint64_t cumul_puts_failed = 0;
  Demand demand{};
  Quota quota{};
};

struct NodeStatistics {
  std::uint64_t total = 0;  // frames of the node, free or not
  std::vector<VmStatistics> vms;
};

struct Decision {
  std::string id;
  std::uint64_t target = 0;  // pages
  std::string reason;        // one line for people: what was seen and what follows
};

class Policy {
 public:
  virtual ~Policy() = default;
  // One decision for every VM, in the order given, within the VMs' quotas (honour_quotas()). Any
  // thread.
  [[nodiscard]] virtual std::vector<Decision> decide(const NodeStatistics& statistics) const = 0;
  // The same when there is no activity to judge by: VMs came or went, or the policy has just been
  // chosen. The targets given are the VMs' own so far, or initial_target() for those that start.
  [[nodiscard]] virtual std::vector<Decision> start(const NodeStatistics& statistics) const {
    return decide(statistics);
  }
  // The target of a VM that has just come, before its first interval is over.
  [[nodiscard]] virtual std::uint64_t initial_target(std::uint64_t total,
                                                     std::uint64_t vm_count) const = 0;
  // The same for the i-th of these VMs, by its quota and theirs.
  [[nodiscard]] virtual std::uint64_t initial_target_of(const NodeStatistics& statistics,
                                                        std::size_t i) const;
  // Name and settings in full, in the form that make_policy() reads:
  // "smart-alloc:P=2,threshold=64".
  [[nodiscard]] virtual std::string spec() const = 0;
};

// Reads "name" or "name:key=value,...". Errors (kInvalid) say what is wrong and what is allowed.
Result<std::unique_ptr<Policy>> make_policy(std::string_view spec);

struct PolicyDescription {
  std::string name;
  std::string summary;
  std::string settings;  // names, ranges and defaults; empty when there are none
};
const std::vector<PolicyDescription>& known_policies();

}  // namespace fallow::policy
