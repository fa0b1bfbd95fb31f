// Answers for programs: one JSON value, one line, ended. The fields are the views' own names.
#pragma once

#include <string>
#include <vector>

#include "node/config.h"
#include "node/views.h"
#include "run/run_program.h"

namespace fallow::cli {

std::string to_json(const node::NodeView& node);
std::string to_json(const node::VmView& vm);
std::string to_json(
    const node::NodeSnapshot& snapshot);  // {"node":{...},"vms":[...],"clients":[...]}
std::string to_json(const std::vector<node::ClientView>& clients);  // {"clients":[...]}
std::string to_json(const node::Explanation& explanation);
std::string to_json(const node::QuotaView& quota);
std::string to_json(const std::vector<node::QuotaView>& quotas);  // {"quotas":[...]}
std::string cleared_to_json(const std::string& name);             // {"cleared":"a"}
std::string to_json(const node::CurrentPolicy& policy);
std::string to_json(const std::vector<node::PolicyView>& policies);  // {"policies":[...]}
std::string to_json(const node::PolicySwitch& done);
std::string to_json(const std::vector<TomlError>& errors);  // {"valid":...,"errors":[...]}
std::string to_json(const run::RunOutcome& outcome);
std::string removed_to_json(const std::string& vm);  // {"removed":"a"}

}  // namespace fallow::cli
