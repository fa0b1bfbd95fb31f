// A small run for the tests of results and reports.
#pragma once

#include <string>

#include "lab/run_record.h"

namespace fallow::lab {

// Three VMs, the third from 4 s on, all until 10 s; each holds 90 frames more every second.
inline RunRecord test_record(const std::string& policy) {
  RunRecord record;
  record.key = {.scenario = "usemem",
                .guest = "vm (tcg (emulated CPU: times are not native))",
                .policy = policy,
                .backing = "hdd (emulated)",
                .scale = 0.25,
                .data = "generated"};
  record.conditions = {{"demotion", "off"}, {"fallow", "1.2.3"}};
  record.frames_total = policy == kAmple ? 0 : 3000;
  record.seconds = 10;
  for (const char* name : {"vm1", "vm2", "vm3"}) {
    const double start_s = record.vms.size() == 2 ? 4 : 0;
    record.vms.push_back(
        {.name = name,
         .running_s = 10 - start_s,
         .runs =
             {{.workload = "usemem", .start_s = start_s, .seconds = 10 - start_s, .stopped = true}},
         .steps =
             {{1, 32 << 20, 100}, {4, 64 << 20, 3000}, {5, 64 << 20, 1000}, {7, 64 << 20, 2000}},
         .figures = {{"pswpin", 11}, {"pswpout", 22}, {"pages_demoted", 5}}});
  }
  for (std::uint64_t second = 0; policy != kAmple && second <= 10; ++second) {
    record.frames.push_back(
        {static_cast<double>(second), {second * 90, second * 90, second * 90}, {1000, 1000, 1000}});
  }
  return record;
}

}  // namespace fallow::lab
