// Where scenarios are found: those that come with the lab by their names, others by their paths.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lab/scenario.h"

namespace fallow::lab {

// The folder of the scenarios that come with the lab, beside the program in `programs`.
std::string scenario_folder(const std::string& programs);

// Of all files of a folder: those of 004 first, in its order, then by name.
Result<std::vector<Scenario>> load_all_scenarios(const std::string& folder);
// `word`: the name of one in the folder, or the path of a file (with a slash, or ending in .toml).
Result<Scenario> load_named_scenario(const std::string& folder, const std::string& word);

std::string list_table(const std::vector<Scenario>& scenarios);
std::string list_json(const std::vector<Scenario>& scenarios);

}  // namespace fallow::lab
