#include "node/explain.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "policy/miss_ratio_curve.h"

namespace fallow::node {
namespace {

std::string count(std::uint64_t number) {
  return std::to_string(number);
}

std::string over_target(const VmView& vm) {
  const std::string how = vm.demotion_pages_per_second == 0
                              ? "demotion is off, so only the guest's own discards free them"
                              : "the oldest move to the backing store, " +
                                    count(vm.demotion_pages_per_second) + " a second at most";
  return "It holds " + count(vm.used) + " pages, " + count(vm.used - vm.target) +
         " over its target of " + count(vm.target) + ": puts are refused, and " + how + ".";
}

std::string room_left(std::uint64_t used, std::uint64_t target, const NodeView& node) {
  const std::string holds = "It holds " + count(used) + " pages of a target of " + count(target) +
                            ": " + count(target - used) + " more fit";
  return holds + (node.frames_free == 0
                      ? ", but the node has no free frame, so puts fail all the same."
                      : ".");
}

std::string standing(const VmView& vm, const NodeView& node) {
  if (vm.target == 0 && vm.used == 0) {
    return "Its target is 0, so its pool is closed: every page goes to the backing store.";
  }
  if (vm.used > vm.target) {
    return over_target(vm);
  }
  if (vm.used == vm.target) {
    return "It holds all " + count(vm.used) +
           " pages of its target: new pages are refused and go " + "to the backing store.";
  }
  return room_left(vm.used, vm.target, node);
}

std::string standing(const ClientView& client, const NodeView& node) {
  if (client.target == 0 && client.used == 0) {
    return "Its target is 0, so its pools are closed: every put is refused.";
  }
  if (client.used > client.target) {
    return "It holds " + count(client.used) + " pages, " + count(client.used - client.target) +
           " over its target of " + count(client.target) +
           ": puts are refused, and only its own flushes free pages.";
  }
  if (client.used == client.target) {
    return "It holds all " + count(client.used) + " pages of its target: new pages are refused.";
  }
  return room_left(client.used, client.target, node);
}

template <typename View>
std::string failures(const View& vm) {
  const auto failed = [](const tmem::Counters& counters) {
    return counters.puts_total - std::min(counters.puts_total, counters.puts_succ);
  };
  if (vm.total.puts_total == 0) {
    return "It has not put a page yet.";
  }
  return "In the last interval " + count(failed(vm.interval)) + " of " +
         count(vm.interval.puts_total) + " puts failed; since it came " + count(failed(vm.total)) +
         " of " + count(vm.total.puts_total) + ".";
}

template <typename View>
std::string last_decision(const View& vm, const NodeView& node) {
  if (vm.reason.empty()) {
    return "Policy " + node.policy + " has not decided on it yet: its target is the policy's " +
           "initial one.";
  }
  return "Policy " + node.policy + " last decided: " + vm.reason + ".";
}

std::string last_change(const std::vector<TargetChange>& changes) {
  if (changes.empty()) {
    return "No decision has changed its target since it came.";
  }
  const TargetChange& change = changes.front();
  return "Its target last changed " + format_age(change.age_ns) + " ago, from " +
         count(change.target_before) + " to " + count(change.target_after) +
         " pages: " + change.reason + ".";
}

// Empty when nothing is set.
std::string quota_of(const policy::Quota& quota) {
  if (quota == policy::Quota{}) {
    return "";
  }
  const std::string max =
      quota.max == policy::Quota::kNoMax ? "no maximum" : "maximum " + count(quota.max) + " pages";
  return "Its quota: minimum " + count(quota.min) + " pages, " + max + ", weight " +
         count(quota.weight) + ".";
}

void add_quota(const policy::Quota& quota, std::vector<std::string>& findings) {
  if (std::string text = quota_of(quota); !text.empty()) {
    findings.push_back(std::move(text));
  }
}

std::string percent(double part) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f%%", part * 100);
  return buffer;
}

// Nothing of it is to be believed, so each sentence says whose it is.
void add_what_it_says(const MemoryReport& report, std::vector<std::string>& findings) {
  std::string memory = "Its pager says (" + format_age(report.age_ns) +
                       " ago; nobody has checked): limit " + format_pages(report.ram_limit_pages) +
                       ", resident " + format_pages(report.resident_pages) + ", working set " +
                       format_pages(report.working_set_pages) + ", " +
                       format_pages(report.backing_pages) + " in a store of its own.";
  findings.push_back(std::move(memory));
  if (report.interval_ns > 0) {
    findings.push_back("Its pager says: " + count(report.interval_faults) + " faults and " +
                       count(report.interval_evictions) + " evictions in the " +
                       format_age(report.interval_ns) + " before that.");
  }
  if (report.prefetched_total > 0) {
    findings.push_back("Its pager says: of " + count(report.prefetched_total) +
                       " pages brought in ahead " + count(report.prefetch_hits_total) +
                       " were wanted.");
  }
  if (report.curve.empty()) {
    return;
  }
  std::vector<policy::MissRatioCurve::Point> points;
  for (const MissRatioPoint& point : report.curve) {
    points.push_back({point.pages, point.misses_per_million / 1e6});
  }
  const policy::MissRatioCurve curve(points);
  findings.push_back("By its pager's curve " +
                     percent(curve.miss_ratio_at(report.ram_limit_pages)) +
                     " of its references miss at that limit, " + percent(points.back().miss_ratio) +
                     " with " + format_pages(points.back().pages) + ".");
}

}  // namespace

std::vector<std::string> explain(const ClientView& client, const NodeView& node,
                                 const std::vector<TargetChange>& changes) {
  std::vector<std::string> findings = {standing(client, node), failures(client),
                                       last_decision(client, node), last_change(changes)};
  add_quota(client.quota, findings);
  if (!client.connected) {
    findings.emplace_back("It is not connected: its pages wait for it to come back.");
  }
  if (client.report) {
    add_what_it_says(*client.report, findings);
  }
  return findings;
}

std::vector<std::string> explain(const VmView& vm, const NodeView& node,
                                 const std::vector<TargetChange>& changes) {
  std::vector<std::string> findings = {standing(vm, node), failures(vm), last_decision(vm, node),
                                       last_change(changes)};
  add_quota(vm.quota, findings);
  if (!vm.connected) {
    findings.emplace_back("No front end is connected to its socket.");
  }
  if (vm.io_errors > 0) {
    findings.push_back("Its backing store has failed " + count(vm.io_errors) + " requests.");
  }
  return findings;
}

std::string format_age(std::uint64_t ns) {
  const double seconds = static_cast<double>(ns) / 1e9;
  char buffer[32];
  if (seconds < 120) {
    std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
  } else if (seconds < 7200) {
    std::snprintf(buffer, sizeof buffer, "%.0f min", seconds / 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%.1f h", seconds / 3600);
  }
  return buffer;
}

}  // namespace fallow::node
