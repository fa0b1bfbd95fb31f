#include "policy/policy.h"

#include <algorithm>

#include "base/text.h"
#include "policy/greedy.h"
#include "policy/marginal.h"
#include "policy/no_tmem.h"
#include "policy/quotas.h"
#include "policy/reconf_static.h"
#include "policy/smart_alloc.h"
#include "policy/static_alloc.h"

namespace fallow::policy {
namespace {

using Made = Result<std::unique_ptr<Policy>>;

template <typename Kind>
Made make_plain(const Spec& /*spec*/) {
  return std::unique_ptr<Policy>(std::make_unique<Kind>());
}

Made make_smart_alloc(const Spec& spec) {
  SmartAllocSettings settings;
  for (const auto& [key, value] : spec.settings) {
    Result<std::uint64_t> read = key == "P" ? parse_percent(value) : parse_count(value);
    if (!read) {
      return key == "P" ? read.error()
                        : invalid("threshold must be a number of pages: " + read.error().text);
    }
    (key == "P" ? settings.p_micro_percent : settings.threshold) = *read;
  }
  return std::unique_ptr<Policy>(std::make_unique<SmartAlloc>(settings));
}

Made make_marginal(const Spec& spec) {
  Goal goal = Goal::kSlowdown;
  for (const auto& [key, value] : spec.settings) {
    const Result<Goal> read = parse_goal(value);
    FALLOW_TRY(read);
    goal = *read;
  }
  return std::unique_ptr<Policy>(std::make_unique<Marginal>(goal));
}

struct Kind {
  PolicyDescription description;
  std::vector<std::string> keys;
  Made (*make)(const Spec& spec);
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {{"greedy", "first come, first served: any VM may hold everything", ""},
       {},
       make_plain<Greedy>},
      {{"static-alloc", "equal shares for all VMs", ""}, {}, make_plain<StaticAlloc>},
      {{"reconf-static", "equal shares for the VMs that have been short of memory at least once",
        ""},
       {},
       make_plain<ReconfStatic>},
      {{"smart-alloc", "more for VMs whose puts fail, less for VMs that leave memory unused",
        "P: percent by which targets grow and shrink, above 0 up to 100, default 2; threshold: "
        "unused pages that a VM may keep, default 64"},
       {"P", "threshold"},
       make_smart_alloc},
      {{"marginal", "frames go where they save most waiting; nothing to tune",
        "goal: what is to be least: slowdown (default; of all, by their weights), worst (the "
        "slowdown of the VM that has the most of it) or refaults (reads of backing stores)"},
       {"goal"},
       make_marginal},
      {{"no-tmem", "pools closed: every page goes to the backing store", ""},
       {},
       make_plain<NoTmem>},
  };
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

Error unknown_policy(const std::string& name) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    names.push_back(kind.description.name);
  }
  return invalid("no policy is called '" + name + "': use one of " + joined(names));
}

Status check_settings(const Spec& spec, const std::vector<std::string>& keys) {
  for (const auto& [key, value] : spec.settings) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return invalid("policy " + spec.name + " has no setting '" + key +
                     "': " + (keys.empty() ? "it takes none" : "it takes " + joined(keys)));
    }
  }
  return {};
}

}  // namespace

std::uint64_t Policy::initial_target_of(const NodeStatistics& statistics, std::size_t i) const {
  return within_quota(statistics, i, initial_target(statistics.total, statistics.vms.size()));
}

Result<std::unique_ptr<Policy>> make_policy(std::string_view text) {
  const Result<Spec> spec = parse_spec(text);
  if (!spec) {
    return invalid("policy: " + spec.error().text);
  }
  for (const Kind& kind : kinds()) {
    if (kind.description.name == spec->name) {
      FALLOW_TRY(check_settings(*spec, kind.keys));
      return kind.make(*spec);
    }
  }
  return unknown_policy(spec->name);
}

const std::vector<PolicyDescription>& known_policies() {
  static const std::vector<PolicyDescription> descriptions = [] {
    std::vector<PolicyDescription> all;
    for (const Kind& kind : kinds()) {
      all.push_back(kind.description);
    }
    return all;
  }();
  return descriptions;
}

}  // namespace fallow::policy
