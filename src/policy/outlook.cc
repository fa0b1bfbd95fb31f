#include "policy/outlook.h"

#include <algorithm>
#include <cmath>

namespace fallow::policy {
namespace {

std::uint64_t beyond_ram(const VmStatistics& vm) {
  return vm.used + vm.demand.backing_pages;
}

// How long a page takes to be read from the backing store: where pages are read many at once, a
// fraction of what one alone takes.
double wait_ns_of(const Demand& demand, double otherwise) {
  const bool known = demand.backing_reads >= Outlook::kReadsLeast && demand.backing_wait_ns > 0;
  return known ? demand.backing_wait_ns / demand.backing_reads : otherwise;
}

double mean_wait_ns(const NodeStatistics& statistics) {
  Demand all;
  for (const VmStatistics& vm : statistics.vms) {
    all.backing_reads += vm.demand.backing_wait_ns > 0 ? vm.demand.backing_reads : 0;
    all.backing_wait_ns += vm.demand.backing_wait_ns;
  }
  return wait_ns_of(all, Outlook::kWaitNs);
}

double slope(const Gain& from, const Gain& to) {
  return (to.value - from.value) / static_cast<double>(to.frames - from.frames);
}

std::vector<Gain> upper_hull(const std::vector<Gain>& gains) {
  std::vector<Gain> hull;
  for (const Gain& gain : gains) {
    while (hull.size() > 1 &&
           slope(hull[hull.size() - 2], hull.back()) <= slope(hull[hull.size() - 2], gain)) {
      hull.pop_back();
    }
    hull.push_back(gain);
  }
  return hull;
}

// By the curve, from no frames to all that are wanted. A memory that keeps what it has does as well
// as the straight line between two sizes, whatever least recently used would do.
std::vector<Gain> parts_saved(const VmStatistics& vm) {
  const Demand& demand = vm.demand;
  const std::uint64_t all = beyond_ram(vm);
  if (all == 0) {
    return {{0, 1}};
  }
  std::vector<Gain> gains = {{0, 0}};
  if (demand.curve) {
    const double none = demand.curve->miss_ratio_at(demand.ram_pages);
    for (const MissRatioCurve::Point& point : demand.curve->points()) {
      if (point.pages > demand.ram_pages && point.pages - demand.ram_pages < all) {
        const double saved = none <= 0 ? 0 : 1 - demand.curve->miss_ratio_at(point.pages) / none;
        gains.push_back({point.pages - demand.ram_pages, saved});
      }
    }
  }
  gains.push_back({all, 1});
  return upper_hull(gains);
}

}  // namespace

Outlook::Outlook(const VmStatistics& vm, double wait_ns)
    : reads_(vm.demand.memory_reads + vm.demand.backing_reads),
      stalled_ns_(reads_ * wait_ns_of(vm.demand, wait_ns)),
      running_ns_(std::max({vm.demand.elapsed_ns - vm.demand.backing_wait_ns,
                            vm.demand.elapsed_ns * kRunningLeast, 1.0})),
      gains_(parts_saved(vm)) {}

double Outlook::saved_by(std::uint64_t frames) const {
  const auto next = std::find_if(gains_.begin(), gains_.end(),
                                 [&](const Gain& gain) { return gain.frames >= frames; });
  if (next == gains_.end()) {
    return gains_.back().value;
  }
  if (next->frames == frames) {
    return next->value;
  }
  const Gain& before = *(next - 1);
  return before.value + static_cast<double>(frames - before.frames) * slope(before, *next);
}

double Outlook::speed(double saved) const {
  return running_ns_ / (running_ns_ + (1 - saved) * stalled_ns_);
}

std::uint64_t Outlook::frames_for(double speed) const {
  const auto next = std::find_if(gains_.begin(), gains_.end(), [&](const Gain& gain) {
    return this->speed(gain.value) >= speed;
  });
  if (next == gains_.begin() || next == gains_.end()) {
    return next == gains_.end() ? wanted() : 0;
  }
  std::uint64_t low = (next - 1)->frames;
  std::uint64_t high = next->frames;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    speed_with(middle) >= speed ? high = middle : low = middle + 1;
  }
  return low;
}

double Outlook::value_of(std::uint64_t frames, Goal goal) const {
  const double saved = saved_by(frames);
  return goal == Goal::kRefaults ? reads_ * saved : speed(saved);
}

std::vector<Gain> Outlook::gains(std::uint64_t most, Goal goal) const {
  const std::uint64_t end = std::min(most, wanted());
  std::vector<Gain> gains;
  for (const Gain& gain : gains_) {
    if (gain.frames < end) {
      gains.push_back({gain.frames, value_of(gain.frames, goal)});
    }
  }
  gains.push_back({end, value_of(end, goal)});
  return upper_hull(gains);
}

std::vector<Outlook> outlooks_of(const NodeStatistics& statistics) {
  const double wait_ns = mean_wait_ns(statistics);
  std::vector<Outlook> outlooks;
  for (const VmStatistics& vm : statistics.vms) {
    outlooks.emplace_back(vm, wait_ns);
  }
  return outlooks;
}

std::optional<double> reads_saved_by_tenth(const VmStatistics& vm, std::uint64_t target) {
  if (!vm.demand.known) {
    return std::nullopt;
  }
  const Outlook outlook(vm);
  if (outlook.wanted() <= target) {
    return 0;
  }
  return outlook.reads() * (outlook.saved_by(target + tenth_of(target)) - outlook.saved_by(target));
}

}  // namespace fallow::policy
