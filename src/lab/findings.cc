#include "lab/findings.h"

#include <functional>

#include "lab/table.h"

namespace fallow::lab {
namespace {

constexpr char kUntuned[] = "marginal";
constexpr char kGreedy[] = "greedy";
// So much of an equal share is as good as the share: less is starving.
constexpr double kLifted = 0.75;

bool is_untuned(const std::string& policy) {
  return policy.starts_with(kUntuned);
}

bool is_smart(const std::string& policy) {
  return policy.starts_with("smart-alloc");
}

// The policy with the least, of those that `wanted` takes; nullptr: there is none.
const PolicySummary* best(const ScenarioSummary& scenario,
                          const std::function<bool(const PolicySummary&)>& wanted) {
  const PolicySummary* found = nullptr;
  for (const PolicySummary& policy : scenario.policies) {
    if (policy.policy != kAmple && wanted(policy) &&
        (found == nullptr || policy.total_s.mean < found->total_s.mean)) {
      found = &policy;
    }
  }
  return found;
}

Finding::Verdict verdict(bool holds) {
  return holds ? Finding::Verdict::kHolds : Finding::Verdict::kFails;
}

std::string seconds(double value) {
  return decimal(value, 2) + " s";
}

std::string against(const std::string& left, double left_s, const std::string& right,
                    double right_s) {
  return left + " " + seconds(left_s) + ", " + right + " " + seconds(right_s) + " (ratio " +
         decimal(left_s / right_s, 2) + ")";
}

Finding compare_totals(const std::string& text, const PolicySummary* left,
                       const PolicySummary* right, double most) {
  Finding finding{.text = text};
  if (left != nullptr && right != nullptr) {
    const bool repeated = left->total_s.count > 1 && right->total_s.count > 1;
    finding.verdict = verdict(left->total_s.mean <= most * right->total_s.mean);
    finding.figures = against(left->policy, left->total_s.mean, right->policy, right->total_s.mean);
    finding.figures +=
        repeated && !differ(left->total_s, right->total_s) ? ", within the noise" : "";
  }
  return finding;
}

bool tuned(const PolicySummary& policy) {
  return !is_untuned(policy.policy);
}

// 004, §2.4.1 to 2.4.3: what holds for every one of its scenarios.
void document_findings(const ScenarioSummary& scenario, std::vector<Finding>& all) {
  const PolicySummary* greedy = find_policy(scenario, kGreedy);
  const PolicySummary* smart =
      best(scenario, [](const PolicySummary& policy) { return is_smart(policy.policy); });
  const PolicySummary* slow = find_policy(scenario, "smart-alloc:P=0.25,threshold=64");
  const std::string name = scenario.place.scenario + ": ";
  all.push_back(compare_totals(name + "smart-alloc at its best P beats greedy", smart, greedy, 1));
  if (scenario.place.scenario == "scenario-1") {
    all.push_back(
        compare_totals(name + "too small a P (0.25%) is worse than greedy", greedy, slow, 1));
  }
}

// §2.4.4: "For VM3, the best performance is obtained with static-alloc".
void late_vm_finding(const ScenarioSummary& scenario, std::vector<Finding>& all) {
  Finding finding{.text = "scenario-3: static-alloc is best for the late VM (vm3)"};
  const PolicySummary* fixed = find_policy(scenario, "static-alloc");
  const PolicySummary* other = nullptr;
  for (const PolicySummary& policy : scenario.policies) {
    if (policy.policy != kAmple && policy.policy != "static-alloc" && tuned(policy) &&
        (other == nullptr || policy.vms.back().running_s.mean < other->vms.back().running_s.mean)) {
      other = &policy;
    }
  }
  if (fixed != nullptr && other != nullptr) {
    const double left = fixed->vms.back().running_s.mean;
    const double right = other->vms.back().running_s.mean;
    finding.verdict = verdict(left <= right);
    finding.figures = against("static-alloc", left, other->policy, right);
  }
  all.push_back(finding);
}

// §2.4.3: "VM3 struggles to obtain Tmem pages when using greedy".
void starved_vm_finding(const ScenarioSummary& scenario, std::vector<Finding>& all) {
  Finding finding{.text = "usemem: greedy starves the third VM"};
  const PolicySummary* greedy = find_policy(scenario, kGreedy);
  if (greedy != nullptr && scenario.frames_total > 0) {
    const double share = greedy->vms.back().frames_peak / equal_share(scenario);
    finding.verdict = verdict(share < kLifted);
    finding.figures = "its peak is " + decimal(100 * share, 0) + "% of an equal share";
  }
  all.push_back(finding);
}

// §2.4.3, Figure 2.7: under smart-alloc the VM that came late gets its share all the same.
void lifted_vm_finding(const ScenarioSummary& scenario, std::vector<Finding>& all) {
  Finding finding{.text = "usemem: smart-alloc lifts the third VM to its share"};
  const PolicySummary* smart =
      best(scenario, [](const PolicySummary& policy) { return is_smart(policy.policy); });
  if (smart != nullptr && scenario.frames_total > 0) {
    const double share = smart->vms.back().frames_peak / equal_share(scenario);
    finding.verdict = verdict(share >= kLifted);
    finding.figures =
        smart->policy + ": its peak is " + decimal(100 * share, 0) + "% of an equal share";
  }
  all.push_back(finding);
}

const PolicySummary* untuned(const ScenarioSummary& scenario) {
  return best(scenario, [](const PolicySummary& policy) { return is_untuned(policy.policy); });
}

// In how many scenarios the untuned policy takes at most that part of what `other` does.
Finding how_often(const std::string& text, const std::vector<ScenarioSummary>& scenarios,
                  const std::function<const PolicySummary*(const ScenarioSummary&)>& other,
                  double most, std::size_t wanted) {
  std::size_t count = 0;
  std::size_t of = 0;
  std::string names;
  for (const ScenarioSummary& scenario : scenarios) {
    const PolicySummary* ours = untuned(scenario);
    const PolicySummary* theirs = other(scenario);
    if (ours != nullptr && theirs != nullptr) {
      ++of;
      if (ours->total_s.mean <= most * theirs->total_s.mean) {
        ++count;
        names += (names.empty() ? ": " : ", ") + scenario.place.scenario;
      }
    }
  }
  return {text, of >= wanted ? verdict(count >= wanted) : Finding::Verdict::kUnknown,
          std::to_string(count) + " of " + std::to_string(of) + names};
}

void untuned_findings(const ScenarioSummary& scenario, std::vector<Finding>& all) {
  const PolicySummary* ours = untuned(scenario);
  const PolicySummary* theirs = best(scenario, tuned);
  if (ours == nullptr || theirs == nullptr) {
    return;
  }
  const std::string name = scenario.place.scenario + ": the untuned policy";
  all.push_back(compare_totals(name + " takes at most 1.02 of the best tuned one's time", ours,
                               theirs, 1.02));
  all.push_back(compare_totals(name + " against greedy", ours, find_policy(scenario, kGreedy), 1));
  double least = 0;
  for (const PolicySummary& policy : scenario.policies) {
    if (policy.policy != kAmple && tuned(policy) && (least == 0 || policy.worst_slowdown < least)) {
      least = policy.worst_slowdown;
    }
  }
  all.push_back({name + "'s worst slowdown is at most 1.05 of the best policy's",
                 verdict(ours->worst_slowdown <= 1.05 * least),
                 decimal(ours->worst_slowdown, 2) + " against " + decimal(least, 2)});
}

}  // namespace

std::vector<Finding> findings(const std::vector<ScenarioSummary>& scenarios) {
  std::vector<Finding> all;
  for (const ScenarioSummary& scenario : scenarios) {
    if (scenario.place.scenario.starts_with("scenario-") || scenario.place.scenario == "usemem") {
      document_findings(scenario, all);
    }
    if (scenario.place.scenario == "scenario-3") {
      late_vm_finding(scenario, all);
    }
    if (scenario.place.scenario == "usemem") {
      starved_vm_finding(scenario, all);
      lifted_vm_finding(scenario, all);
    }
  }
  for (const ScenarioSummary& scenario : scenarios) {
    untuned_findings(scenario, all);
  }
  if (scenarios.size() > 1) {
    all.push_back(how_often(
        "the untuned policy is better than the best tuned one by 5% or more in at least five "
        "scenarios",
        scenarios, [](const ScenarioSummary& scenario) { return best(scenario, tuned); }, 0.95, 5));
    all.push_back(how_often(
        "the untuned policy is better than greedy by 35% or more in at least two scenarios",
        scenarios, [](const ScenarioSummary& scenario) { return find_policy(scenario, kGreedy); },
        0.65, 2));
  }
  return all;
}

}  // namespace fallow::lab
