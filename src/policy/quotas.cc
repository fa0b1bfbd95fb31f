#include "policy/quotas.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "policy/shares.h"

namespace fallow::policy {
namespace {

using Pages = std::vector<std::uint64_t>;
__extension__ using Wide = unsigned __int128;

Wide sum_of(const Pages& pages) {
  return std::accumulate(pages.begin(), pages.end(), Wide{0});
}

bool has_minimum(const VmStatistics& vm) {
  return vm.quota.min > 0;
}

bool is_bounded(const VmStatistics& vm) {
  return has_minimum(vm) || vm.quota.max != Quota::kNoMax;
}

Pages targets_of(const std::vector<Decision>& decisions) {
  Pages targets;
  for (const Decision& decision : decisions) {
    targets.push_back(decision.target);
  }
  return targets;
}

// `least` and, of what the node has beyond that, parts in proportion to what is wished beyond it:
// never more than is wished. `least` fits into the node, `wished` does not.
Pages spread(const Pages& least, const Pages& wished, std::uint64_t total) {
  Pages pages = least;
  Pages beyond;
  for (std::size_t i = 0; i < least.size(); ++i) {
    beyond.push_back(wished[i] - least[i]);
  }
  if (sum_of(beyond) == 0) {
    return pages;
  }
  const Pages parts = scale_to_total(beyond, total - static_cast<std::uint64_t>(sum_of(least)));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    pages[i] += parts[i];
  }
  return pages;
}

// What the VMs hold, or have as their minimum, of what they may have.
Pages held_of(const NodeStatistics& statistics, const Pages& minimums, const Pages& targets) {
  Pages held;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    held.push_back(std::min(std::max(statistics.vms[i].used, minimums[i]), targets[i]));
  }
  return held;
}

// For targets within the quotas that add up to more than the node has.
Pages make_room(const NodeStatistics& statistics, const Pages& minimums, const Pages& targets,
                bool divided) {
  if (divided) {
    return spread(minimums, targets, statistics.total);
  }
  const Pages held = held_of(statistics, minimums, targets);
  return sum_of(held) <= statistics.total ? spread(held, targets, statistics.total)
                                          : spread(minimums, held, statistics.total);
}

std::string minimum_note(const Quota& quota, std::uint64_t target) {
  const std::string pages = std::to_string(target) + " pages";
  return target == quota.min
             ? "; raised to its minimum of " + pages
             : "; raised to " + pages + ", its part of minimums that do not fit into the node";
}

// What has become of the target that the policy gave.
std::string note_of(const Quota& quota, std::uint64_t before, std::uint64_t after) {
  if (after == before) {
    return "";
  }
  if (after > before) {
    return minimum_note(quota, after);
  }
  return after == quota.max
             ? maximum_note(quota.max)
             : "; lowered to " + std::to_string(after) + " pages, which leaves minimums their room";
}

// Who would have as much as it may have, or more, has that, and takes no part any more: its weight
// becomes 0. True when there was one, so that the others may have more.
bool cut_at_maximums(const std::vector<Quota>& quotas, std::uint64_t* left, Pages& weights,
                     Pages& shares) {
  const Wide sum = sum_of(weights);
  const Wide before = *left;
  bool cut = false;
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    if (weights[i] > 0 && before * weights[i] / sum >= quotas[i].max) {
      shares[i] = quotas[i].max;
      *left -= shares[i];
      weights[i] = 0;
      cut = true;
    }
  }
  return cut;
}

Pages divide(std::uint64_t total, const std::vector<Quota>& quotas, Pages weights) {
  Pages shares(quotas.size());
  std::uint64_t left = total;
  while (cut_at_maximums(quotas, &left, weights, shares)) {
  }
  if (sum_of(weights) == 0) {
    return shares;
  }
  const Pages parts = scale_to_total(weights, left);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    shares[i] += parts[i];
  }
  return shares;
}

std::string words_of(const Quota& quota, std::uint64_t total, std::uint64_t weights, bool equal) {
  const std::string share = "share of " + std::to_string(total) + " pages";
  return equal ? "equal " + share
               : share + " by weight " + std::to_string(quota.weight) + " of " +
                     std::to_string(weights);
}

Pages weights_of(const std::vector<Quota>& quotas) {
  Pages weights;
  for (const Quota& quota : quotas) {
    CHECK(quota.weight > 0);
    weights.push_back(quota.weight);
  }
  return weights;
}

}  // namespace

std::vector<Quota> quotas_of(const NodeStatistics& statistics) {
  std::vector<Quota> quotas;
  for (const VmStatistics& vm : statistics.vms) {
    quotas.push_back(vm.quota);
  }
  return quotas;
}

Pages granted_minimums(const NodeStatistics& statistics) {
  Pages minimums;
  for (const VmStatistics& vm : statistics.vms) {
    minimums.push_back(std::min(vm.quota.min, vm.quota.max));
  }
  return sum_of(minimums) <= statistics.total ? minimums
                                              : scale_to_total(minimums, statistics.total);
}

std::uint64_t within_quota(const NodeStatistics& statistics, std::size_t i, std::uint64_t target) {
  return std::clamp(target, granted_minimums(statistics)[i], statistics.vms[i].quota.max);
}

std::uint64_t part_by_weight(const NodeStatistics& statistics, std::size_t i) {
  const Wide sum = sum_of(weights_of(quotas_of(statistics)));
  return static_cast<std::uint64_t>(Wide{statistics.total} * statistics.vms[i].quota.weight / sum);
}

std::vector<Share> shares_by_weight(std::uint64_t total, const std::vector<Quota>& quotas) {
  if (quotas.empty()) {
    return {};
  }
  const Pages weights = weights_of(quotas);
  const auto sum = static_cast<std::uint64_t>(sum_of(weights));
  const bool equal = std::all_of(weights.begin(), weights.end(),
                                 [&](std::uint64_t weight) { return weight == weights[0]; });
  const Pages plain = scale_to_total(weights, total);
  const Pages pages = divide(total, quotas, weights);
  std::vector<Share> shares;
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    std::string note = pages[i] < plain[i] ? maximum_note(quotas[i].max) : "";
    if (pages[i] > plain[i]) {
      note = "; +" + std::to_string(pages[i] - plain[i]) + " pages beyond the maximums of others";
    }
    shares.push_back({pages[i], words_of(quotas[i], total, sum, equal), std::move(note)});
  }
  return shares;
}

std::string maximum_note(std::uint64_t max) {
  return "; lowered to its maximum of " + std::to_string(max) + " pages";
}

std::vector<Decision> honour_quotas(const NodeStatistics& statistics,
                                    std::vector<Decision> decisions) {
  if (std::none_of(statistics.vms.begin(), statistics.vms.end(), is_bounded)) {
    return decisions;
  }
  const Pages given = targets_of(decisions);
  const Pages minimums = granted_minimums(statistics);
  Pages targets;
  for (std::size_t i = 0; i < given.size(); ++i) {
    targets.push_back(std::clamp(given[i], minimums[i], statistics.vms[i].quota.max));
  }
  const bool reserved = std::any_of(statistics.vms.begin(), statistics.vms.end(), has_minimum);
  if (reserved && sum_of(targets) > statistics.total) {
    targets = make_room(statistics, minimums, targets, sum_of(given) <= statistics.total);
  }
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    decisions[i].target = targets[i];
    decisions[i].reason += note_of(statistics.vms[i].quota, given[i], targets[i]);
  }
  return decisions;
}

}  // namespace fallow::policy
