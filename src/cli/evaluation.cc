#include "cli/evaluation.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>

namespace fallow::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string joined(std::initializer_list<const char*> words) {
  std::string text;
  for (const char* word : words) {
    text += (text.empty() ? "" : ", ") + std::string(word);
  }
  return text;
}

// Watches for keys that stand twice in one object, of which the parser would keep the last.
class DuplicateKeys {
 public:
  bool operator()(Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == Json::parse_event_t::key && found_.empty() &&
               !open_.back().insert(parsed.get<std::string>()).second) {
      found_ = parsed.get<std::string>();
    }
    return true;
  }
  [[nodiscard]] const std::string& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string found_;
};

// What stands where no valid key or value can be quoted safely: cut short, on one line.
std::string shown(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
}

Result<Json> parse_json(std::string_view text) {
  DuplicateKeys duplicates;
  Json json = Json::parse(
      text,
      [&](int /*depth*/, Json::parse_event_t event, Json& parsed) {
        return duplicates(event, parsed);
      },
      /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return invalid("standard input is not JSON: give {\"node\":{\"total\":N},\"vms\":[...]}");
  }
  if (!duplicates.found().empty()) {
    return invalid("key " + shown(duplicates.found()) + " stands twice in one object");
  }
  return json;
}

Status check_keys(const Json& object, const std::string& where,
                  std::initializer_list<const char*> known) {
  if (!object.is_object()) {
    return invalid(where + " must be an object with " + joined(known));
  }
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return invalid(where + " has an unknown key " + shown(key) + ": it takes " + joined(known));
    }
  }
  return {};
}

Result<std::uint64_t> take_count(const Json& object, const std::string& where, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return invalid(where + " lacks '" + key + "'");
  }
  if (!found->is_number_unsigned()) {
    return invalid(where + ": '" + key + "' must be a whole number from 0 to 2^64-1, not " +
                   shown(*found));
  }
  return found->get<std::uint64_t>();
}

Result<std::string> take_id(const Json& vm, const std::string& where) {
  const auto found = vm.find("id");
  if (found == vm.end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
    return invalid(where + " needs an 'id' that is text");
  }
  return found->get<std::string>();
}

Status parse_quota(const Json& json, const std::string& where, policy::Quota& quota) {
  std::uint64_t weight = quota.weight;
  const std::pair<const char*, std::uint64_t*> numbers[] = {
      {"min", &quota.min}, {"max", &quota.max}, {"weight", &weight}};
  for (const auto& [key, into] : numbers) {
    if (json.contains(key)) {
      const Result<std::uint64_t> count = take_count(json, where, key);
      FALLOW_TRY(count);
      *into = *count;
    }
  }
  if (weight == 0 || weight > policy::Quota::kWeightMax) {
    return invalid(where + ": 'weight' must be from 1 to " +
                   std::to_string(policy::Quota::kWeightMax) + ", not " + std::to_string(weight));
  }
  quota.weight = static_cast<std::uint32_t>(weight);
  if (quota.min > quota.max) {
    return invalid(where + ": min is " + std::to_string(quota.min) + ", more than max, which is " +
                   std::to_string(quota.max));
  }
  return {};
}

Result<policy::VmStatistics> parse_vm(const Json& json, const std::string& where) {
  FALLOW_TRY(check_keys(json, where,
                        {"id", "target", "used", "puts_total", "puts_succ", "cumul_puts_failed",
                         "min", "max", "weight"}));
  policy::VmStatistics vm;
  Result<std::string> id = take_id(json, where);
  FALLOW_TRY(id);
  vm.id = *std::move(id);
  const std::pair<const char*, std::uint64_t*> counts[] = {
      {"target", &vm.target},
      {"used", &vm.used},
      {"puts_total", &vm.puts_total},
      {"puts_succ", &vm.puts_succ},
      {"cumul_puts_failed", &vm.cumul_puts_failed}};
  for (const auto& [key, into] : counts) {
    if (into == &vm.cumul_puts_failed && !json.contains(key)) {
      continue;
    }
    const Result<std::uint64_t> count = take_count(json, where, key);
    FALLOW_TRY(count);
    *into = *count;
  }
  if (vm.puts_succ > vm.puts_total) {
    return invalid(where + ": puts_succ is " + std::to_string(vm.puts_succ) +
                   ", more than puts_total, which is " + std::to_string(vm.puts_total));
  }
  FALLOW_TRY(parse_quota(json, where, vm.quota));
  return vm;
}

Status parse_vms(const Json& json, policy::NodeStatistics& statistics) {
  if (!json.is_array()) {
    return invalid("'vms' must be a list");
  }
  std::set<std::string> ids;
  for (const Json& item : json) {
    Result<policy::VmStatistics> vm =
        parse_vm(item, "vms[" + std::to_string(statistics.vms.size()) + "]");
    FALLOW_TRY(vm);
    if (!ids.insert(vm->id).second) {
      return invalid("two VMs have the id " + shown(vm->id));
    }
    statistics.vms.push_back(*std::move(vm));
  }
  return {};
}

}  // namespace

Result<policy::NodeStatistics> parse_statistics(std::string_view text) {
  const Result<Json> json = parse_json(text);
  FALLOW_TRY(json);
  FALLOW_TRY(check_keys(*json, "the input", {"node", "vms"}));
  for (const char* key : {"node", "vms"}) {
    if (!json->contains(key)) {
      return invalid(std::string("the input lacks '") + key + "'");
    }
  }
  FALLOW_TRY(check_keys((*json)["node"], "'node'", {"total"}));
  const Result<std::uint64_t> total = take_count((*json)["node"], "'node'", "total");
  FALLOW_TRY(total);
  policy::NodeStatistics statistics{.total = *total, .vms = {}};
  FALLOW_TRY(parse_vms((*json)["vms"], statistics));
  return statistics;
}

Result<std::string> evaluate(std::string_view spec, std::string_view text) {
  const auto policy = policy::make_policy(spec);
  if (!policy) {
    return policy.error();
  }
  const Result<policy::NodeStatistics> statistics = parse_statistics(text);
  FALLOW_TRY(statistics);
  Json vms = Json::array();
  for (const policy::Decision& decision : (*policy)->decide(*statistics)) {
    vms.push_back({{"id", decision.id}, {"target", decision.target}, {"reason", decision.reason}});
  }
  return Json{{"vms", std::move(vms)}}.dump() + "\n";
}

}  // namespace fallow::cli
