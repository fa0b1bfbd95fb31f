#include "lab/report_text.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "lab/table.h"

namespace fallow::lab {
namespace {

constexpr std::size_t kThird = 2;

Row table_row(const LabRecord& record, const PolicyResult& policy, std::size_t machine,
              const std::vector<std::uint64_t>& sizes) {
  const MachineResult& result = policy.machines[machine];
  Row row = {machine == 0 ? policy.spec : "", result.name};
  for (const std::uint64_t bytes : sizes) {
    const double seconds = step_seconds(result, bytes);
    row.push_back(seconds < 0 ? "-" : decimal(seconds, 2));
  }
  row.push_back(std::to_string(result.pages_out));
  row.push_back(std::to_string(result.pages_in));
  row.push_back(std::to_string(peak_frames(policy, machine)));
  row.push_back(decimal(peak_share(record, policy, machine) * 100, 0) + "%");
  row.push_back(decimal(settled_share(record, policy, machine) * 100, 0) + "%");
  return row;
}

nlohmann::json machine_json(const LabRecord& record, const PolicyResult& policy,
                            std::size_t machine) {
  const MachineResult& result = policy.machines[machine];
  nlohmann::json steps = nlohmann::json::array();
  for (const StepTime& step : result.steps) {
    steps.push_back({{"bytes", step.bytes}, {"milliseconds", step.milliseconds}});
  }
  return {{"name", result.name},
          {"steps", steps},
          {"pswpin", result.pages_in},
          {"pswpout", result.pages_out},
          {"memory_writes", result.memory_writes},
          {"backing_writes", result.backing_writes},
          {"memory_reads", result.memory_reads},
          {"backing_reads", result.backing_reads},
          {"peak_frames", peak_frames(policy, machine)},
          {"peak_share", peak_share(record, policy, machine)},
          {"settled_share", settled_share(record, policy, machine)}};
}

nlohmann::json policy_json(const LabRecord& record, const PolicyResult& policy) {
  nlohmann::json machines = nlohmann::json::array();
  for (std::size_t i = 0; i < policy.machines.size(); ++i) {
    machines.push_back(machine_json(record, policy, i));
  }
  return {{"spec", policy.spec},
          {"seconds", policy.seconds},
          {"third_start_s", policy.third_start_s},
          {"third_peak_share", peak_share(record, policy, kThird)},
          {"third_settled_share", settled_share(record, policy, kThird)},
          {"vms", machines}};
}

nlohmann::json conditions_json(const LabConditions& conditions) {
  return {{"scale", conditions.sizes.scale},
          {"accelerator", conditions.accelerator},
          {"boot_ms", conditions.boot_ms},
          {"overhead_bytes", conditions.overhead_bytes},
          {"vm_ram_bytes", conditions.machine_ram_bytes},
          {"swap_bytes", conditions.sizes.swap},
          {"step_bytes", conditions.sizes.step},
          {"frames_total", conditions.frames_total},
          {"interval_ms", conditions.interval_ms},
          {"demotion", conditions.demotion},
          {"fresh_boot", conditions.fresh_boot},
          {"fallow_version", conditions.fallow_version},
          {"qemu_version", conditions.qemu_version},
          {"guest_version", conditions.guest_version},
          {"host_cpus", conditions.host_cpus}};
}

}  // namespace

std::vector<Condition> describe_conditions(const LabConditions& conditions) {
  const UsememSizes& sizes = conditions.sizes;
  const std::string demotion =
      conditions.demotion == "off"
          ? "off: pages over a target stay until the guest frees them, as in the document"
          : conditions.demotion + " pages a second of every VM over its target, under every policy";
  return {
      {"scale", decimal(sizes.scale, 4) + " of the document's sizes"},
      {"accelerator", conditions.accelerator},
      {"VMs", "3, 1 CPU, " + format_size(conditions.machine_ram_bytes) + " RAM each: " +
                  format_size(sizes.ram) + " scaled, the rest for what scaling took from the " +
                  format_size(conditions.overhead_bytes) + " that a guest's kernel keeps"},
      {"node", format_size(sizes.tmem) + " of frames (" + std::to_string(conditions.frames_total) +
                   "), a third is " + std::to_string(conditions.frames_total / kMachineCount)},
      {"swap", format_size(sizes.swap) + " each"},
      {"blocks", format_size(sizes.step) + " to " + format_size(sizes.block_max) +
                     "; vm3 starts when vm1 and vm2 attempt " + format_size(sizes.third_starts) +
                     ", all stop when vm3 attempts " + format_size(sizes.all_stop)},
      {"controller", "every " + std::to_string(conditions.interval_ms) + " ms"},
      {"demotion", demotion},
      {"guests", conditions.fresh_boot ? "booted anew for each policy"
                                       : "booted once, swap emptied between policies"},
      {"boot", std::to_string(conditions.boot_ms) + " ms"},
      {"versions", "fallow " + conditions.fallow_version + "; " + conditions.qemu_version + "; " +
                       conditions.guest_version},
      {"host CPUs", std::to_string(conditions.host_cpus)}};
}

std::string to_table(const LabRecord& record) {
  const std::vector<std::uint64_t> sizes = finished_sizes(record);
  Row head = {"policy", "vm"};
  for (const std::uint64_t bytes : sizes) {
    head.push_back(format_size(bytes));
  }
  head.insert(head.end(), {"pswpout", "pswpin", "peak frames", "of a third", "settled"});
  std::vector<Row> rows = {head};
  for (const PolicyResult& policy : record.policies) {
    for (std::size_t i = 0; i < policy.machines.size(); ++i) {
      rows.push_back(table_row(record, policy, i, sizes));
    }
  }
  return "accelerator: " + record.conditions.accelerator +
         "; scale: " + decimal(record.conditions.sizes.scale, 4) +
         "\nSeconds for one pass over a block of each size (median); '-': not finished.\n" +
         aligned(rows);
}

std::string frames_csv(const LabRecord& record) {
  std::string text = "policy,time_s,vm,used,target\n";
  for (const PolicyResult& policy : record.policies) {
    for (const FrameSample& sample : policy.samples) {
      text += csv_quoted(policy.spec) + "," + decimal(sample.time_s, 3) + "," +
              policy.machines[sample.machine].name + "," + std::to_string(sample.used) + "," +
              std::to_string(sample.target) + "\n";
    }
  }
  return text;
}

std::string steps_csv(const LabRecord& record) {
  std::string text = "policy,vm,step_bytes,milliseconds\n";
  for (const PolicyResult& policy : record.policies) {
    for (const MachineResult& machine : policy.machines) {
      for (const StepTime& step : machine.steps) {
        text += csv_quoted(policy.spec) + "," + machine.name + "," + std::to_string(step.bytes) +
                "," + std::to_string(step.milliseconds) + "\n";
      }
    }
  }
  return text;
}

std::string to_json(const LabRecord& record) {
  nlohmann::json policies = nlohmann::json::array();
  for (const PolicyResult& policy : record.policies) {
    policies.push_back(policy_json(record, policy));
  }
  const nlohmann::json whole = {{"scenario", "usemem"},
                                {"conditions", conditions_json(record.conditions)},
                                {"policies", policies}};
  return whole.dump(2) + "\n";
}

}  // namespace fallow::lab
