// A scenario while it runs, as a pure state machine: the time and what the guests say go in, what
// is to be started comes out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lab/scenario.h"
#include "lab/workload_line.h"

namespace fallow::lab {

// The `time`th time of a VM's run.
struct Occasion {
  std::size_t vm = 0;
  std::size_t run = 0;
  std::uint64_t time = 0;
  bool operator==(const Occasion&) const = default;
};

// Times are nanoseconds of any clock, and do not go back. The scenario must outlive it.
class ScenarioState {
 public:
  ScenarioState(const Scenario& scenario, std::uint64_t now_ns);

  // What the VM's workload printed, or that it has ended (kExited).
  void take(std::size_t vm, const GuestLine& line, std::uint64_t now_ns);

  // What is to be started now: each is told once, and runs from then on.
  std::vector<Occasion> due(std::uint64_t now_ns);
  // All that still runs is to be stopped, and nothing is to be started any more.
  [[nodiscard]] bool stop_is_due(std::uint64_t now_ns) const;
  // Nothing runs, and nothing is going to.
  [[nodiscard]] bool over() const;
  // When due() or stop_is_due() may change by time alone.
  [[nodiscard]] std::optional<std::uint64_t> next_ns() const;
  // What the VM runs now.
  [[nodiscard]] std::optional<Occasion> running(std::size_t vm) const;

 private:
  struct Vm {
    std::size_t run = 0;  // that runs, or is next; runs.size(): none is left
    std::uint64_t time = 0;
    bool running = false;
    std::uint64_t free_ns = 0;  // since when it could run the next
    std::uint64_t attempted = 0;
    std::set<std::string> phases{};
  };

  [[nodiscard]] bool reached(const Trigger& trigger) const;
  void look_at_triggers(std::uint64_t now_ns);
  // None: not known yet.
  [[nodiscard]] std::optional<std::uint64_t> start_ns(std::size_t vm) const;
  [[nodiscard]] std::optional<std::uint64_t> stop_ns() const;

  const Scenario& scenario_;
  std::vector<Vm> vms_;
  // When each trigger was reached; by run of each VM.
  std::vector<std::vector<std::optional<std::uint64_t>>> reached_ns_;
  std::optional<std::uint64_t> stop_reached_ns_;
};

}  // namespace fallow::lab
