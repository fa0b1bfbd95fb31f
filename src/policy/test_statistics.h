// Statistics that the tests of several policies share.
#pragma once

#include "policy/policy.h"

namespace fallow::policy {

// 1000 pages; a is short of memory, b leaves most of its target unused, c is quiet.
inline NodeStatistics example_statistics() {
  return {.total = 1000,
          .vms = {{.id = "a",
                   .target = 500,
                   .used = 500,
                   .puts_total = 100,
                   .puts_succ = 80,
                   .cumul_puts_failed = 20},
                  {.id = "b", .target = 400, .used = 100, .puts_total = 10, .puts_succ = 10},
                  {.id = "c", .target = 100, .used = 90}}};
}

// A VM whose reads are known. Of late: a second, in which each read of the backing store took a
// millisecond.
inline VmStatistics vm_that_reads(const std::string& id, std::uint64_t used, std::uint64_t backing,
                                  double memory, double missed) {
  VmStatistics vm{.id = id, .target = used, .used = used};
  vm.demand = {.known = true,
               .memory_reads = memory,
               .backing_reads = missed,
               .backing_wait_ns = missed * 1e6,
               .elapsed_ns = 1e9,
               .backing_pages = backing};
  return vm;
}

inline std::vector<std::uint64_t> targets_of(const std::vector<Decision>& decisions) {
  std::vector<std::uint64_t> targets;
  for (const Decision& decision : decisions) {
    targets.push_back(decision.target);
  }
  return targets;
}

}  // namespace fallow::policy
