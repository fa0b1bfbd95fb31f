// The workloads of guests/ that a scenario can name, and how each is called.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow::lab {

// What one run of a workload is given; each takes of it what it knows.
struct WorkloadArguments {
  std::uint64_t bytes = 0;  // how much memory it takes
  std::uint64_t step_bytes = 0;
  std::uint64_t iterations = 0;
  std::uint64_t seed = 1;
  bool for_ever = false;
  bool idle = false;          // keeps what it has taken, and does nothing with it
  std::string data_folder{};  // real data sets; empty: it generates its own
};

struct Workload {
  std::string name{};
  std::string summary{};
  // False: it needs programs that the guests' image does not have.
  bool in_machines = true;
  // True: it can go on until it is stopped.
  bool can_go_on = false;
  std::uint64_t bytes_min = 0;
  std::uint64_t iterations = 0;  // unless the scenario says otherwise
  // Parts of its work, whose end it announces.
  std::vector<std::string> phases{};
};

const std::vector<Workload>& known_workloads();
// nullptr: there is none of that name.
const Workload* find_workload(const std::string& name);

// The program's name and its arguments.
std::vector<std::string> workload_command(const Workload& workload,
                                          const WorkloadArguments& arguments);

}  // namespace fallow::lab
