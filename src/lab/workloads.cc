#include "lab/workloads.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

void add(std::vector<std::string>& command, const std::string& option, const std::string& value) {
  command.push_back(option);
  command.push_back(value);
}

// Where a real data set lies in the data folder, and the option that takes it.
struct DataFile {
  const char* workload;
  const char* option;
  const char* file;
};
constexpr DataFile kDataFiles[] = {
    {"graph-analytics", "--edges", "gowalla_edges.csv"},
    {"in-memory-analytics", "--ratings", "movielens_small_ratings.csv"},
    {"sql-analytics", "--ratings", "movielens_small_ratings.csv"},
};

}  // namespace

const std::vector<Workload>& known_workloads() {
  static const std::vector<Workload> all = {
      {"usemem",
       "ever larger blocks, each traversed writing and reading (004, §2.3)",
       true,
       true,
       kMiB,
       1,
       {"fill"}},
      {"graph-analytics",
       "PageRank of a social network (004, §2.3)",
       true,
       false,
       5 * kMiB,
       10,
       {"load", "build", "iterate"}},
      {"in-memory-analytics",
       "alternating least squares over ratings (004, §2.3)",
       true,
       false,
       4 * kMiB,
       3,
       {"load", "build", "iterate", "verify"}},
      {"sort-words",
       "sorts records, moving them whole",
       true,
       false,
       4 * kMiB,
       2,
       {"build", "iterate"}},
      {"constant-memory-stress",
       "the same memory over and over (004, §4.7)",
       true,
       false,
       kMiB,
       10,
       {"build", "iterate", "verify"}},
      {"sql-analytics",
       "questions to a database in memory",
       true,
       false,
       8 * kMiB,
       2,
       {"load", "build", "iterate", "verify"}},
      {"data-caching",
       "memcached, and a client that verifies it",
       false,
       false,
       16 * kMiB,
       2,
       {"load", "iterate", "verify"}},
      {"kernel-build-like",
       "many short compilations",
       false,
       false,
       96 * kMiB,
       1,
       {"write", "iterate"}},
  };
  return all;
}

const Workload* find_workload(const std::string& name) {
  for (const Workload& workload : known_workloads()) {
    if (workload.name == name) {
      return &workload;
    }
  }
  return nullptr;
}

std::vector<std::string> workload_command(const Workload& workload,
                                          const WorkloadArguments& arguments) {
  std::vector<std::string> command = {workload.name};
  if (workload.name == "usemem") {
    add(command, "--step", std::to_string(arguments.step_bytes));
    add(command, "--max", std::to_string(arguments.bytes));
    if (!arguments.for_ever || arguments.idle) {
      command.emplace_back(arguments.idle ? "--idle" : "--once");
    }
  } else {
    add(command, "--megabytes", std::to_string(arguments.bytes / kMiB));
    add(command, "--iterations", std::to_string(arguments.iterations));
  }
  add(command, "--seed", std::to_string(arguments.seed));
  for (const DataFile& data : kDataFiles) {
    if (!arguments.data_folder.empty() && workload.name == data.workload) {
      add(command, data.option, arguments.data_folder + "/" + data.file);
    }
  }
  return command;
}

}  // namespace fallow::lab
