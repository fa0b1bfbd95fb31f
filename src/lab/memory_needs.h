// How much memory the runs of a scenario take: each VM, the pool, the host.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "lab/scenario.h"

namespace fallow::lab {

enum class GuestKind { kProcess, kMachine };

// What its largest workload takes.
std::uint64_t largest_bytes(const VmPlan& vm);
// A VM's RAM. `overhead_bytes`: what a machine's kernel keeps, which it is given besides.
std::uint64_t ram_bytes(const VmPlan& vm, GuestKind guest, std::uint64_t overhead_bytes);
// The same, when it is to have all that it wants. 0: no limit, as processes have none then.
std::uint64_t ample_ram_bytes(const VmPlan& vm, GuestKind guest, std::uint64_t overhead_bytes);
// Pooled memory for a run that is recorded: for all that leaves RAM.
std::uint64_t recorded_pool_bytes(const Scenario& scenario, GuestKind guest);

// RAM and pooled memory together, of the run that takes most: under a policy, with ample RAM, or
// recorded, if one is to be. What machines' kernels keep is not known before one has booted.
std::uint64_t bytes_wanted(const Scenario& scenario, GuestKind guest, bool recorded);
// kInvalid, with file and line: that is more than nine tenths of `host_bytes`.
Status check_fits(const Scenario& scenario, GuestKind guest, bool recorded,
                  std::uint64_t host_bytes);

}  // namespace fallow::lab
