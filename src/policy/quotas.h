// Quotas: what an operator grants a VM, honoured by every policy. Shares by weight, and the last
// step of each decision, which keeps targets within minimum and maximum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace fallow::policy {

std::vector<Quota> quotas_of(const NodeStatistics& statistics);

// Each VM's minimum. When they add up to more than the node has, scaled down to what it has.
std::vector<std::uint64_t> granted_minimums(const NodeStatistics& statistics);

// `target`, or the nearest number that the i-th VM's quota allows.
std::uint64_t within_quota(const NodeStatistics& statistics, std::size_t i, std::uint64_t target);

// The i-th VM's part of the node by weight, rounded down.
std::uint64_t part_by_weight(const NodeStatistics& statistics, std::size_t i);

struct Share {
  std::uint64_t pages = 0;
  std::string words{};  // "equal share of 1000 pages"
  std::string note{};   // what maximums have changed; empty: nothing
};
// `total` divided by weight; what is left over goes to the largest remainders, among equals to the
// first, a page each. What a VM may not have goes to the others, as far as these may have it.
std::vector<Share> shares_by_weight(std::uint64_t total, const std::vector<Quota>& quotas);

std::string maximum_note(std::uint64_t max);

// The last step of every policy but no-tmem: each target within [minimum, maximum], where a minimum
// is what granted_minimums() says. Reasons tell what has changed. Without minimums and maximums,
// nothing has.
//
// A minimum is a guarantee: as soon as a VM has one, the targets add up to no more than the node
// has, so that nobody can take what it has not used yet. Who has more than its own minimum makes
// room:
//  - from a policy that divides the node, each loses the same part of what is above its minimum;
//  - from one that gives everybody more than there is (greedy), each keeps what it holds, and all
//    divide the rest, the wider target the more of it. What somebody holds already in the place of
//    another's minimum is above its target.
std::vector<Decision> honour_quotas(const NodeStatistics& statistics,
                                    std::vector<Decision> decisions);

}  // namespace fallow::policy
