#include "node/explain.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "policy/miss_ratio_curve.h"
#include "policy/outlook.h"

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

// "to b (+900), c (+304) and 2 others (+7)"
std::string lost_to(const TargetLoss& loss) {
  if (loss.rises.empty()) {
    return "while nobody's target rose";
  }
  std::vector<std::string> who;
  for (const TargetRise& rise : loss.rises) {
    who.push_back(rise.name + " (+" + count(rise.pages) + ")");
  }
  if (loss.others > 0) {
    who.push_back(count(loss.others) + (loss.others == 1 ? " other (+" : " others (+") +
                  count(loss.others_pages) + ")");
  }
  std::string text = "to " + who.front();
  for (std::size_t i = 1; i < who.size(); ++i) {
    text += (i + 1 == who.size() ? " and " : ", ") + who[i];
  }
  return text;
}

std::string last_loss(const TargetHistory& history) {
  if (!history.last_loss) {
    return "It has lost nothing since it came, or the daemon began, " +
           format_age(history.known_ns) + " ago.";
  }
  const TargetChange& change = history.last_loss->change;
  return "It last lost " + count(change.target_before - change.target_after) +
         " pages of its target " + format_age(change.age_ns) + " ago, from " +
         count(change.target_before) + " to " + count(change.target_after) + ", " +
         lost_to(*history.last_loss) + ": " + change.reason + ".";
}

// The last change may itself be the last loss, which tells more.
void add_changes(const TargetHistory& history, std::vector<std::string>& findings) {
  const bool lost_last =
      history.last_loss && !history.changes.empty() &&
      history.changes.front().target_after < history.changes.front().target_before;
  if (!lost_last) {
    findings.push_back(last_change(history.changes));
  }
  if (!history.changes.empty()) {
    findings.push_back(last_loss(history));
  }
}

void add_gain(std::uint64_t target, const TargetHistory& history,
              std::vector<std::string>& findings) {
  if (!history.reads_saved_by_tenth) {
    return;
  }
  char saved[32];
  const double reads = *history.reads_saved_by_tenth;
  std::snprintf(saved, sizeof saved, reads > 0 && reads < 10 ? "%.2f" : "%.0f", reads);
  findings.push_back("With " + count(policy::tenth_of(target)) +
                     " pages (10%) more it would have read its backing store " + saved +
                     " times less of late.");
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
                                 const TargetHistory& history) {
  std::vector<std::string> findings = {standing(client, node), failures(client),
                                       last_decision(client, node)};
  add_changes(history, findings);
  add_gain(client.target, history, findings);
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
                                 const TargetHistory& history) {
  std::vector<std::string> findings = {standing(vm, node), failures(vm), last_decision(vm, node)};
  add_changes(history, findings);
  add_gain(vm.target, history, findings);
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
