#include "node/explain.h"

#include <algorithm>
#include <cstdio>

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
  const std::string holds = "It holds " + count(vm.used) + " pages of a target of " +
                            count(vm.target) + ": " + count(vm.target - vm.used) + " more fit";
  return holds + (node.frames_free == 0
                      ? ", but the node has no free frame, so puts fail all the same."
                      : ".");
}

std::string failures(const VmView& vm) {
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

std::string last_decision(const VmView& vm, const NodeView& node) {
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

}  // namespace

std::vector<std::string> explain(const VmView& vm, const NodeView& node,
                                 const std::vector<TargetChange>& changes) {
  std::vector<std::string> findings = {standing(vm, node), failures(vm), last_decision(vm, node),
                                       last_change(changes)};
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
