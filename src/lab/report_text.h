// A run as text for people and for programs: the table on standard output, the CSV files, the JSON.
// Pure: record in, text out.
#pragma once

#include <string>

#include "lab/lab_record.h"

namespace fallow::lab {

// The conditions as "name, value" rows, in reading order: every output that people see shows them.
struct Condition {
  std::string name{};
  std::string value{};
};
std::vector<Condition> describe_conditions(const LabConditions& conditions);

// Running times and the third VM's share, one row a policy and VM.
std::string to_table(const LabRecord& record);

// policy,time_s,vm,used,target (frames)
std::string frames_csv(const LabRecord& record);
// policy,vm,step_bytes,milliseconds
std::string steps_csv(const LabRecord& record);

std::string to_json(const LabRecord& record);

}  // namespace fallow::lab
