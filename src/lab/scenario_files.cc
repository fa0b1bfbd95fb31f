#include "lab/scenario_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lab/paths.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kDocument = {"usemem", "scenario-1", "scenario-2",
                                                  "scenario-3"};

std::size_t rank_of(const std::string& name) {
  return static_cast<std::size_t>(std::find(kDocument.begin(), kDocument.end(), name) -
                                  kDocument.begin());
}

}  // namespace

std::string scenario_folder(const std::string& programs) {
  return (fs::path(programs) / "../share/fallow/scenarios").lexically_normal().string();
}

Result<std::vector<Scenario>> load_all_scenarios(const std::string& folder) {
  std::vector<Scenario> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") {
      auto scenario = load_scenario(entry.path().string());
      FALLOW_TRY(scenario);
      all.push_back(*std::move(scenario));
    }
  }
  if (error) {
    return failed("cannot read the folder " + folder + ": " + error.message());
  }
  std::sort(all.begin(), all.end(), [](const Scenario& left, const Scenario& right) {
    return std::pair(rank_of(left.name), left.name) < std::pair(rank_of(right.name), right.name);
  });
  return all;
}

Result<Scenario> load_named_scenario(const std::string& folder, const std::string& word) {
  if (word.find('/') != std::string::npos || word.ends_with(".toml")) {
    return load_scenario(word);
  }
  const std::string path = folder + "/" + word + ".toml";
  const auto there = is_there(path);
  FALLOW_TRY(there);
  if (!*there) {
    return invalid("no scenario is called '" + word +
                   "': see `fallow-lab list`, or give the path of a file");
  }
  return load_scenario(path);
}

std::string list_table(const std::vector<Scenario>& scenarios) {
  std::vector<Row> rows;
  for (const Scenario& scenario : scenarios) {
    rows.push_back({scenario.name, scenario.summary});
  }
  return aligned(rows);
}

std::string list_json(const std::vector<Scenario>& scenarios) {
  nlohmann::json list = nlohmann::json::array();
  for (const Scenario& scenario : scenarios) {
    nlohmann::json vms = nlohmann::json::array();
    for (const VmPlan& vm : scenario.vms) {
      vms.push_back({{"name", vm.name}, {"ram_bytes", vm.ram_bytes}, {"runs", vm.runs.size()}});
    }
    list.push_back({{"name", scenario.name},
                    {"summary", scenario.summary},
                    {"path", scenario.path},
                    {"memory_bytes", scenario.memory_bytes},
                    {"vms", vms}});
  }
  return list.dump(2) + "\n";
}

}  // namespace fallow::lab
