// "greedy,smart-alloc:P=2,threshold=64": several policies in one argument, though a policy's own
// settings are parted by commas too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::policy {

// kInvalid when a policy does not exist, is named twice or has a setting that it does not know.
Result<std::vector<std::string>> parse_policies(std::string_view list);

// What is tried when nothing is named: every policy of 004, chapter 2, with the values of P that it
// is tried with, and ours.
const std::vector<std::string>& tried_policies();

}  // namespace fallow::policy
