// A scenario: which VMs there are, what each runs and when, and what they share. From a TOML file
// (docs/lab.md), checked whole before anything is started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/toml_error.h"

namespace fallow::lab {

// When something is to happen: once all of `vms` have come so far, and `delay_ns` later.
struct Trigger {
  enum class Kind {
    kBegin,    // the scenario has begun
    kAttempt,  // they have tried to take `bytes` or more
    kPhase,    // they have ended the part `phase` of their work
    kEnd,      // they have ended all that they run
  };
  Kind kind = Kind::kBegin;
  std::vector<std::size_t> vms{};  // indices
  std::uint64_t bytes = 0;
  std::string phase{};
  std::uint64_t delay_ns = 0;
  unsigned line = 0;  // of the file
};

// A workload that a VM runs, `times` times with a pause between them.
struct RunPlan {
  std::string workload{};
  std::uint64_t bytes = 0;
  std::uint64_t step_bytes = 0;
  std::uint64_t iterations = 0;
  bool for_ever = false;  // until the scenario is stopped
  bool idle = false;      // the same, but it does nothing once it has taken all
  std::uint64_t times = 1;
  std::uint64_t pause_ns = 0;
  Trigger start{};    // and not before what the VM ran before it has ended
  unsigned line = 0;  // of the file
};

struct VmPlan {
  std::string name{};
  std::uint64_t ram_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint32_t cpus = 1;
  std::vector<RunPlan> runs{};  // one after the other
  unsigned line = 0;            // of the file
};

struct Scenario {
  std::string path{};         // of its file; empty when it was read from text
  std::string fingerprint{};  // of the file's content
  std::string name{};
  std::string summary{};
  std::uint64_t memory_bytes = 0;  // pooled
  std::uint64_t interval_ns = 1'000'000'000;
  std::string backing = "hdd";    // the backing store's speed (base/disk_speed.h)
  std::string demotion = "8000";  // pages a second, or "off"
  std::vector<std::string> policies{};
  std::uint64_t repetitions = 5;
  std::uint64_t seed = 1;
  double scale = 1;  // what its sizes and times have been multiplied by
  std::vector<VmPlan> vms{};
  std::optional<Trigger> stop{};  // all that still runs is stopped then
};

struct ScenarioReading {
  Scenario scenario;
  std::vector<TomlError> errors;  // by line; the scenario is valid only when there are none
};
ScenarioReading read_scenario(std::string_view toml);
// kInvalid with a line "FILE:LINE: what" for each error.
Result<Scenario> load_scenario(const std::string& path);

// Pages a second, or "off"; as text.
Result<std::string> parse_rate(const std::string& text);

// All sizes and times multiplied: 1/64 to 4. kInvalid, too, when that makes something too small.
Result<Scenario> scaled(const Scenario& scenario, double factor);

}  // namespace fallow::lab
