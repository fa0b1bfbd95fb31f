#include "policy/marginal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "policy/outlook.h"
#include "policy/quotas.h"

namespace fallow::policy {
namespace {

// Frames of one VM that are worth the same.
struct Segment {
  std::size_t vm = 0;
  std::uint64_t frames = 0;
  double worth = 0;  // what each of them is
};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

// Whether the VMs may hold more than there is, together: their targets do not say who is to have it
// then.
bool overcommitted(const NodeStatistics& statistics) {
  std::uint64_t sum = 0;
  for (const VmStatistics& vm : statistics.vms) {
    sum += std::min(vm.target, statistics.total);
  }
  return sum > statistics.total;
}

double weight_of(const VmStatistics& vm) {
  return static_cast<double>(vm.quota.weight) / Quota::kWeightDefault;
}

std::uint64_t sum_of(const std::vector<std::uint64_t>& frames) {
  return std::accumulate(frames.begin(), frames.end(), std::uint64_t{0});
}

std::string reason_of(const Outlook& outlook, std::uint64_t target) {
  const std::uint64_t all = outlook.wanted();
  const double each = all == 0 ? 0 : outlook.reads() / static_cast<double>(all);
  const std::string who =
      std::to_string(all) + " pages beyond its RAM, each read " + number(each) + " times of late";
  if (target >= all) {
    return who + ": it gets all that it wants";
  }
  return who + ": " + std::to_string(target) + " frames, as others' are worth more";
}

// Gives a node's frames out.
class Distribution {
 public:
  Distribution(const NodeStatistics& statistics, Goal goal)
      : statistics_(statistics), goal_(goal), outlooks_(outlooks_of(statistics)) {}

  [[nodiscard]] std::vector<Decision> decisions() const {
    const std::vector<Segment> segments = segments_by_worth();
    std::vector<std::uint64_t> targets = give_out(first_of_all(), segments);
    std::vector<std::uint64_t> kept = give_out(as_it_is(), segments);
    if (value_of(targets) < Marginal::kGainLeast * value_of(kept)) {
      targets = std::move(kept);
    }
    const std::uint64_t left = statistics_.total - sum_of(targets);
    std::vector<Decision> decisions;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      decisions.push_back({statistics_.vms[i].id, targets[i] + left / targets.size(),
                           reason_of(outlooks_[i], targets[i])});
    }
    return decisions;
  }

 private:
  // What the VM's gains count for: its weight, and more the more of what it wants it was to have,
  // or has, so that of equals one is served whole and frames do not go back and forth.
  [[nodiscard]] double precedence(std::size_t i, bool by_use) const {
    const VmStatistics& vm = statistics_.vms[i];
    const std::uint64_t all = outlooks_[i].wanted();
    const std::uint64_t has = std::min(by_use ? vm.used : vm.target, all);
    const double served = static_cast<double>(has) / static_cast<double>(all);
    return weight_of(vm) * (1 + (Marginal::kStay - 1) * served);
  }

  [[nodiscard]] std::vector<Segment> segments_by_worth() const {
    std::vector<Segment> segments;
    const bool by_use = overcommitted(statistics_);
    for (std::size_t i = 0; i < outlooks_.size(); ++i) {
      const std::vector<Gain> gains = outlooks_[i].gains(statistics_.total, goal_);
      for (std::size_t end = 1; end < gains.size(); ++end) {
        const std::uint64_t frames = gains[end].frames - gains[end - 1].frames;
        const double gain = (gains[end].value - gains[end - 1].value) * precedence(i, by_use);
        segments.push_back({i, frames, gain / static_cast<double>(frames)});
      }
    }
    std::stable_sort(
        segments.begin(), segments.end(),
        [](const Segment& left, const Segment& right) { return left.worth > right.worth; });
    return segments;
  }

  [[nodiscard]] std::uint64_t floor_of(std::size_t i) const {
    return std::min(outlooks_[i].wanted(),
                    statistics_.total / (outlooks_.size() * Marginal::kFloorParts));
  }

  // What each has before the rest is given out by worth.
  [[nodiscard]] std::vector<std::uint64_t> first_of_all() const {
    if (goal_ == Goal::kWorstSlowdown) {
      return for_the_slowest();
    }
    std::vector<std::uint64_t> frames;
    for (std::size_t i = 0; i < outlooks_.size(); ++i) {
      frames.push_back(floor_of(i));
    }
    return frames;
  }

  // As many as bring all VMs to the same part of their speeds, the greatest that can be had.
  [[nodiscard]] std::vector<std::uint64_t> for_the_slowest() const {
    std::vector<std::uint64_t> best(outlooks_.size(), 0);
    double low = 0;
    double high = 1;
    for (int step = 0; step < 20; ++step) {
      const double speed = (low + high) / 2;
      std::vector<std::uint64_t> frames;
      for (const Outlook& outlook : outlooks_) {
        frames.push_back(outlook.frames_for(speed));
      }
      const bool enough = sum_of(frames) <= statistics_.total;
      if (enough) {
        best = std::move(frames);
      }
      (enough ? low : high) = speed;
    }
    return best;
  }

  // What each holds, but for what the floors of others take of it.
  [[nodiscard]] std::vector<std::uint64_t> as_it_is() const {
    std::vector<std::uint64_t> frames;
    std::uint64_t above = 0;
    for (std::size_t i = 0; i < outlooks_.size(); ++i) {
      const std::uint64_t used = std::min(statistics_.vms[i].used, statistics_.total);
      frames.push_back(std::max(used, floor_of(i)));
      above += frames.back() - floor_of(i);
    }
    const std::uint64_t sum = sum_of(frames);
    const double part = sum <= statistics_.total ? 0
                                                 : static_cast<double>(sum - statistics_.total) /
                                                       static_cast<double>(above);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::uint64_t its = frames[i] - floor_of(i);
      const double taken = std::ceil(part * static_cast<double>(its));
      frames[i] -= std::min(its, static_cast<std::uint64_t>(taken));
    }
    return frames;
  }

  // What nobody has yet, by worth.
  [[nodiscard]] std::vector<std::uint64_t> give_out(std::vector<std::uint64_t> frames,
                                                    const std::vector<Segment>& segments) const {
    std::uint64_t left = statistics_.total - sum_of(frames);
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
  [[nodiscard]] double value_of(const std::vector<std::uint64_t>& frames) const {
    double sum = 0;
    double least = 1;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      sum += weight_of(statistics_.vms[i]) * outlooks_[i].value_of(frames[i], goal_);
      least = std::min(least, outlooks_[i].speed_with(frames[i]));
    }
    return goal_ == Goal::kWorstSlowdown ? least : sum;
  }

  const NodeStatistics& statistics_;
  const Goal goal_;
  const std::vector<Outlook> outlooks_;  // of the VMs, in their order
};

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
    all_reads += vm.demand.memory_reads + vm.demand.backing_reads;
    known = known && (vm.demand.known || vm.used == 0);
  }
  if (std::none_of(statistics.vms.begin(), statistics.vms.end(), short_of_memory)) {
    return honour_quotas(statistics, all_to_all(statistics));
  }
  if (known && all_reads >= Outlook::kReadsLeast) {
    return honour_quotas(statistics, Distribution(statistics, goal_).decisions());
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

Result<Goal> parse_goal(std::string_view text) {
  if (text == "refaults") {
    return Goal::kRefaults;
  }
  if (text == "slowdown") {
    return Goal::kSlowdown;
  }
  if (text == "worst") {
    return Goal::kWorstSlowdown;
  }
  return invalid("goal must be slowdown, worst or refaults, not '" +
                 std::string(text.substr(0, 80)) + "'");
}

std::uint64_t Marginal::initial_target(std::uint64_t total, std::uint64_t /*vm_count*/) const {
  return total;
}

}  // namespace fallow::policy
