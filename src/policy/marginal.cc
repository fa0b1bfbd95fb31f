#include "policy/marginal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "policy/quotas.h"

namespace fallow::policy {
namespace {

// Frames of one VM that are worth the same.
struct Segment {
  std::size_t vm = 0;
  std::uint64_t frames = 0;
  double worth = 0;  // what each of them is
};

// Pages beyond the VM's RAM: as many frames would save it every read of the backing store.
std::uint64_t wanted(const VmStatistics& vm) {
  return vm.used + vm.demand.backing_pages;
}

double reads(const VmStatistics& vm) {
  return vm.demand.memory_reads + vm.demand.backing_reads;
}

// How long a page takes to be read from the backing store: where pages are read many at once, a
// fraction of what one alone takes. `otherwise`: where too few were read of late.
double wait_ns(const Demand& demand, double otherwise) {
  const bool known = demand.backing_reads >= Marginal::kReadsLeast && demand.backing_wait_ns > 0;
  return known ? demand.backing_wait_ns / demand.backing_reads : otherwise;
}

// Of all VMs together.
double mean_wait_ns(const NodeStatistics& statistics) {
  Demand all;
  for (const VmStatistics& vm : statistics.vms) {
    all.backing_reads += vm.demand.backing_wait_ns > 0 ? vm.demand.backing_reads : 0;
    all.backing_wait_ns += vm.demand.backing_wait_ns;
  }
  return wait_ns(all, Marginal::kWaitNs);
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

// How many of the reads so many frames save, 0 to 1, by the curve.
double saved_by(const Demand& demand, std::uint64_t frames) {
  const double none = demand.curve->miss_ratio_at(demand.ram_pages);
  return none <= 0 ? 0 : 1 - demand.curve->miss_ratio_at(demand.ram_pages + frames) / none;
}

struct Corner {
  std::uint64_t frames = 0;
  double saved = 0;
};

std::vector<Corner> upper_hull(const std::vector<Corner>& corners) {
  std::vector<Corner> hull;
  const auto slope = [](const Corner& from, const Corner& to) {
    return (to.saved - from.saved) / static_cast<double>(to.frames - from.frames);
  };
  for (const Corner& corner : corners) {
    while (hull.size() > 1 &&
           slope(hull[hull.size() - 2], hull.back()) <= slope(hull[hull.size() - 2], corner)) {
      hull.pop_back();
    }
    hull.push_back(corner);
  }
  return hull;
}

// The curve's upper convex hull from no frames to all that are wanted. A memory that keeps what it
// has does as well as the straight line between two sizes, whatever least recently used would do.
std::vector<Corner> hull_of(const VmStatistics& vm) {
  const Demand& demand = vm.demand;
  const std::uint64_t all = wanted(vm);
  std::vector<Corner> corners = {{0, 0}};
  if (demand.curve) {
    for (const MissRatioCurve::Point& point : demand.curve->points()) {
      if (point.pages > demand.ram_pages && point.pages - demand.ram_pages < all) {
        const std::uint64_t frames = point.pages - demand.ram_pages;
        corners.push_back({frames, saved_by(demand, frames)});
      }
    }
  }
  corners.push_back({all, 1});
  return upper_hull(corners);
}

// What a VM would do with so many frames: its speed as a part of what it would be if it never
// waited for the backing store.
class Speed {
 public:
  Speed(const VmStatistics& vm, double mean_wait_ns)
      : stalled_ns_(reads(vm) * wait_ns(vm.demand, mean_wait_ns)) {
    const double elapsed = vm.demand.elapsed_ns;
    running_ns_ = std::max(elapsed - vm.demand.backing_wait_ns, elapsed * Marginal::kRunningLeast);
    running_ns_ = std::max(running_ns_, 1.0);
  }

  // `saved`: the part of its reads that do not go to the backing store.
  [[nodiscard]] double when(double saved) const {
    return running_ns_ / (running_ns_ + (1 - saved) * stalled_ns_);
  }

 private:
  double stalled_ns_;  // if every page that is read were read there
  double running_ns_;
};

// Whether the VMs may hold more than there is, together: their targets do not say who is to have it
// then.
bool overcommitted(const NodeStatistics& statistics) {
  std::uint64_t sum = 0;
  for (const VmStatistics& vm : statistics.vms) {
    sum += std::min(vm.target, statistics.total);
  }
  return sum > statistics.total;
}

// What the VM's reads count for: its weight, and more the more of what it wants it was to have, or
// has, so that of equals one is served whole and frames do not go back and forth.
double precedence(const VmStatistics& vm, bool by_use) {
  const std::uint64_t all = wanted(vm);
  const std::uint64_t has = std::min(by_use ? vm.used : vm.target, all);
  const double served = static_cast<double>(has) / static_cast<double>(all);
  const double weight = static_cast<double>(vm.quota.weight) / Quota::kWeightDefault;
  return weight * (1 + (Marginal::kStay - 1) * served);
}

// The corners that so many frames are enough for, and what is got by all of these.
std::vector<Corner> within(std::vector<Corner> hull, std::uint64_t frames) {
  while (hull.size() > 2 && hull[hull.size() - 2].frames >= frames) {
    hull.pop_back();
  }
  const Corner before = hull[hull.size() - 2];
  Corner& last = hull.back();
  if (last.frames > frames) {
    const double part = static_cast<double>(frames - before.frames) /
                        static_cast<double>(last.frames - before.frames);
    last = {frames, before.saved + part * (last.saved - before.saved)};
  }
  return hull;
}

// What it would come to if the VM had so many frames, by the corners of a hull; the more the
// better.
std::vector<Corner> gains_of(const VmStatistics& vm, const NodeStatistics& statistics,
                             Marginal::Goal goal, double mean_ns) {
  const Speed speed(vm, mean_ns);
  std::vector<Corner> corners = within(hull_of(vm), statistics.total);
  for (Corner& corner : corners) {
    corner.saved =
        goal == Marginal::Goal::kRefaults ? reads(vm) * corner.saved : speed.when(corner.saved);
  }
  return upper_hull(corners);
}

std::vector<Segment> segments_of(const NodeStatistics& statistics, Marginal::Goal goal) {
  std::vector<Segment> segments;
  const double mean_ns = mean_wait_ns(statistics);
  const bool by_use = overcommitted(statistics);
  for (std::size_t i = 0; i < statistics.vms.size() && statistics.total > 0; ++i) {
    const VmStatistics& vm = statistics.vms[i];
    if (wanted(vm) == 0) {
      continue;
    }
    const std::vector<Corner> hull = gains_of(vm, statistics, goal, mean_ns);
    for (std::size_t corner = 1; corner < hull.size(); ++corner) {
      const std::uint64_t frames = hull[corner].frames - hull[corner - 1].frames;
      const double gain = (hull[corner].saved - hull[corner - 1].saved) * precedence(vm, by_use);
      segments.push_back({i, frames, gain / static_cast<double>(frames)});
    }
  }
  std::stable_sort(segments.begin(), segments.end(), [](const Segment& left, const Segment& right) {
    return left.worth > right.worth;
  });
  return segments;
}

// So many frames the VM needs to have that part of its speed.
std::uint64_t frames_for(const VmStatistics& vm, double mean_ns, double part) {
  const Speed speed(vm, mean_ns);
  const std::vector<Corner> hull = hull_of(vm);
  for (std::size_t i = 1; i < hull.size(); ++i) {
    if (speed.when(hull[i].saved) < part) {
      continue;
    }
    const auto enough = [&](std::uint64_t frames) {
      return speed.when(within({hull[i - 1], hull[i]}, frames).back().saved) >= part;
    };
    std::uint64_t low = hull[i - 1].frames;
    std::uint64_t high = hull[i].frames;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      enough(middle) ? high = middle : low = middle + 1;
    }
    return low;
  }
  return hull.back().frames;
}

// As many frames as bring all VMs to the same part of their speeds, the greatest that can be had.
std::vector<std::uint64_t> frames_for_the_slowest(const NodeStatistics& statistics) {
  const double mean_ns = mean_wait_ns(statistics);
  std::vector<std::uint64_t> best(statistics.vms.size(), 0);
  double low = 0;
  double high = 1;
  for (int step = 0; step < 20; ++step) {
    const double part = (low + high) / 2;
    std::vector<std::uint64_t> frames;
    std::uint64_t sum = 0;
    for (const VmStatistics& vm : statistics.vms) {
      frames.push_back(wanted(vm) == 0 ? 0 : frames_for(vm, mean_ns, part));
      sum += frames.back();
    }
    if (sum <= statistics.total) {
      best = std::move(frames);
    }
    (sum <= statistics.total ? low : high) = part;
  }
  return best;
}

std::string reason_of(const VmStatistics& vm, std::uint64_t target) {
  const std::uint64_t all = wanted(vm);
  const double each = all == 0 ? 0 : reads(vm) / static_cast<double>(all);
  const std::string who =
      std::to_string(all) + " pages beyond its RAM, each read " + number(each) + " times of late";
  if (target >= all) {
    return who + ": it gets all that it wants";
  }
  return who + ": " + std::to_string(target) + " frames, as others' are worth more";
}

// Between the hull's corners it is straight.
double saved_on(const std::vector<Corner>& hull, std::uint64_t frames) {
  for (std::size_t i = 1; i < hull.size(); ++i) {
    if (frames <= hull[i].frames) {
      const double part = static_cast<double>(frames - hull[i - 1].frames) /
                          static_cast<double>(hull[i].frames - hull[i - 1].frames);
      return hull[i - 1].saved + part * (hull[i].saved - hull[i - 1].saved);
    }
  }
  return hull.back().saved;
}

std::uint64_t floor_of(const NodeStatistics& statistics, const VmStatistics& vm) {
  return std::min(wanted(vm), statistics.total / (statistics.vms.size() * Marginal::kFloorParts));
}

std::uint64_t sum_of(const std::vector<std::uint64_t>& frames) {
  return std::accumulate(frames.begin(), frames.end(), std::uint64_t{0});
}

// What each has before the rest is given out by worth.
std::vector<std::uint64_t> first_of_all(const NodeStatistics& statistics, Marginal::Goal goal) {
  if (goal == Marginal::Goal::kWorstSlowdown) {
    return frames_for_the_slowest(statistics);
  }
  std::vector<std::uint64_t> frames;
  for (const VmStatistics& vm : statistics.vms) {
    frames.push_back(floor_of(statistics, vm));
  }
  return frames;
}

// What each holds, but for what the floors of others take of it.
std::vector<std::uint64_t> as_it_is(const NodeStatistics& statistics) {
  std::vector<std::uint64_t> frames;
  std::uint64_t above = 0;
  for (const VmStatistics& vm : statistics.vms) {
    const std::uint64_t floor = floor_of(statistics, vm);
    frames.push_back(std::max(std::min(vm.used, statistics.total), floor));
    above += frames.back() - floor;
  }
  const std::uint64_t sum = sum_of(frames);
  const double part = sum <= statistics.total ? 0
                                              : static_cast<double>(sum - statistics.total) /
                                                    static_cast<double>(above);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::uint64_t its = frames[i] - floor_of(statistics, statistics.vms[i]);
    frames[i] -=
        std::min(its, static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(its))));
  }
  return frames;
}

// What nobody has yet, by worth.
std::vector<std::uint64_t> give_out(std::vector<std::uint64_t> frames, std::uint64_t total,
                                    const std::vector<Segment>& segments) {
  std::uint64_t left = total - sum_of(frames);
  std::vector<std::uint64_t> paid_for = frames;
  for (const Segment& segment : segments) {
    const std::uint64_t paid = std::min(segment.frames, paid_for[segment.vm]);
    paid_for[segment.vm] -= paid;
    const std::uint64_t given = std::min(segment.frames - paid, left);
    frames[segment.vm] += given;
    left -= given;
  }
  return frames;
}

// How good that would be, by the goal.
double value_of(const NodeStatistics& statistics, const std::vector<std::uint64_t>& frames,
                Marginal::Goal goal) {
  const double mean_ns = mean_wait_ns(statistics);
  double sum = 0;
  double least = 1;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const VmStatistics& vm = statistics.vms[i];
    const double saved = wanted(vm) == 0 ? 1 : saved_on(hull_of(vm), frames[i]);
    const double speed = Speed(vm, mean_ns).when(saved);
    const double weight = static_cast<double>(vm.quota.weight) / Quota::kWeightDefault;
    sum += weight * (goal == Marginal::Goal::kRefaults ? reads(vm) * saved : speed);
    least = std::min(least, speed);
  }
  return goal == Marginal::Goal::kWorstSlowdown ? least : sum;
}

std::vector<Decision> by_worth(const NodeStatistics& statistics, Marginal::Goal goal) {
  const std::size_t count = statistics.vms.size();
  const std::vector<Segment> segments = segments_of(statistics, goal);
  std::vector<std::uint64_t> targets =
      give_out(first_of_all(statistics, goal), statistics.total, segments);
  const std::vector<std::uint64_t> kept =
      give_out(as_it_is(statistics), statistics.total, segments);
  if (value_of(statistics, targets, goal) <
      Marginal::kGainLeast * value_of(statistics, kept, goal)) {
    targets = kept;
  }
  const std::uint64_t left = statistics.total - sum_of(targets);
  std::vector<Decision> decisions;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string reason = reason_of(statistics.vms[i], targets[i]);
    decisions.push_back({statistics.vms[i].id, targets[i] + left / count, reason});
  }
  return decisions;
}

bool short_of_memory(const VmStatistics& vm) {
  return vm.puts_total > vm.puts_succ || vm.demand.backing_pages > 0;
}

std::vector<Decision> all_to_all(const NodeStatistics& statistics) {
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back(
        {vm.id, statistics.total,
         "nobody is short: it may hold all " + std::to_string(statistics.total) + " pages"});
  }
  return decisions;
}

}  // namespace

std::vector<Decision> Marginal::decide(const NodeStatistics& statistics) const {
  double all_reads = 0;
  bool known = true;
  for (const VmStatistics& vm : statistics.vms) {
    all_reads += reads(vm);
    known = known && (vm.demand.known || vm.used == 0);
  }
  if (std::none_of(statistics.vms.begin(), statistics.vms.end(), short_of_memory)) {
    return honour_quotas(statistics, all_to_all(statistics));
  }
  if (known && all_reads >= kReadsLeast) {
    return honour_quotas(statistics, by_worth(statistics, goal_));
  }
  std::vector<Decision> decisions = fallback_.decide(statistics);
  for (Decision& decision : decisions) {
    decision.reason = (known ? "too few reads so far to judge by, so as smart-alloc: "
                             : "not every VM's reads are known, so as smart-alloc: ") +
                      decision.reason;
  }
  return decisions;
}

std::vector<Decision> Marginal::start(const NodeStatistics& statistics) const {
  std::vector<Decision> decisions;
  for (const VmStatistics& vm : statistics.vms) {
    decisions.push_back({vm.id, vm.target,
                         "starts with " + std::to_string(vm.target) + " of " +
                             std::to_string(statistics.total) + " pages"});
  }
  return honour_quotas(statistics, std::move(decisions));
}

std::string Marginal::spec() const {
  switch (goal_) {
    case Goal::kRefaults:
      return "marginal:goal=refaults";
    case Goal::kWorstSlowdown:
      return "marginal:goal=worst";
    case Goal::kSlowdown:
      break;
  }
  return "marginal";
}

Result<Marginal::Goal> parse_goal(std::string_view text) {
  if (text == "refaults") {
    return Marginal::Goal::kRefaults;
  }
  if (text == "slowdown") {
    return Marginal::Goal::kSlowdown;
  }
  if (text == "worst") {
    return Marginal::Goal::kWorstSlowdown;
  }
  return invalid("goal must be slowdown, worst or refaults, not '" +
                 std::string(text.substr(0, 80)) + "'");
}

std::uint64_t Marginal::initial_target(std::uint64_t total, std::uint64_t /*vm_count*/) const {
  return total;
}

std::optional<double> reads_saved_by_tenth(const VmStatistics& vm, std::uint64_t target) {
  if (!vm.demand.known) {
    return std::nullopt;
  }
  if (wanted(vm) <= target) {
    return 0;
  }
  const std::vector<Corner> hull = hull_of(vm);
  return reads(vm) * (saved_on(hull, target + tenth_of(target)) - saved_on(hull, target));
}

}  // namespace fallow::policy
