#include "policy/policy_list.h"

#include <algorithm>

#include "policy/policy.h"

namespace fallow::policy {
namespace {

// "threshold=64" goes on from the policy before it; "smart-alloc:P=2" does not.
bool continues(std::string_view piece) {
  return piece.find('=') != std::string_view::npos && piece.find(':') == std::string_view::npos;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> specs;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string piece(list.substr(at, end - at));
    if (!specs.empty() && continues(piece)) {
      specs.back() += "," + piece;
    } else {
      specs.push_back(piece);
    }
    at = end + 1;
  }
  return specs;
}

}  // namespace

Result<std::vector<std::string>> parse_policies(std::string_view list) {
  std::vector<std::string> specs;
  for (const std::string& piece : split(list)) {
    const auto policy = make_policy(piece);
    if (!policy) {
      return policy.error();
    }
    const std::string spec = (*policy)->spec();
    if (std::find(specs.begin(), specs.end(), spec) != specs.end()) {
      return invalid("policy " + spec + " is named twice");
    }
    specs.push_back(spec);
  }
  return specs;
}

const std::vector<std::string>& tried_policies() {
  static const std::vector<std::string> all = {
      "no-tmem",
      "greedy",
      "static-alloc",
      "reconf-static",
      "smart-alloc:P=0.25,threshold=64",
      "smart-alloc:P=0.75,threshold=64",
      "smart-alloc:P=1,threshold=64",
      "smart-alloc:P=2,threshold=64",
      "smart-alloc:P=4,threshold=64",
      "smart-alloc:P=6,threshold=64",
      "smart-alloc:P=10,threshold=64",
      "marginal",
  };
  return all;
}

}  // namespace fallow::policy
