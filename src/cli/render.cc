#include "cli/render.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "base/units.h"
#include "cli/table.h"
#include "node/explain.h"
#include "node/vm_rules.h"

namespace fallow::cli {
namespace {

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

std::uint64_t failed_puts(const tmem::Counters& counters) {
  return counters.puts_total - std::min(counters.puts_total, counters.puts_succ);
}

std::string state_of(const node::VmView& vm) {
  return vm.connected ? "connected" : "waiting";
}

// "label   value" lines, the values below each other.
std::string render_pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::size_t width = 0;
  for (const auto& [label, value] : pairs) {
    width = std::max(width, label.size());
  }
  std::string text;
  for (const auto& [label, value] : pairs) {
    text += label + std::string(width + 2 - label.size(), ' ') + value + "\n";
  }
  return text;
}

std::string memory_line(const node::NodeView& node) {
  return format_pages(node.frames_total - std::min(node.frames_total, node.frames_free)) +
         " used of " + format_pages(node.frames_total) + ", " + format_pages(node.frames_free) +
         " free";
}

std::string render_counters(const tmem::Counters& counters) {
  return number(counters.puts_total) + " puts (" + number(failed_puts(counters)) + " failed), " +
         number(counters.gets_total) + " gets, " + number(counters.flushes_total) + " flushes";
}

std::string render_latency(std::uint64_t p50_ns, std::uint64_t p99_ns) {
  return "median " + format_ns(p50_ns) + ", 99% within " + format_ns(p99_ns);
}

std::string compressed_line(std::uint64_t pages, std::uint64_t bytes) {
  return number(pages) + " pages held in " + format_size(bytes);
}

std::string demotion_of(const node::VmView& vm) {
  return vm.demotion_pages_per_second == 0
             ? "off"
             : number(vm.demotion_pages_per_second) + " pages a second";
}

// "-" where nothing is set.
std::string min_of(const policy::Quota& quota) {
  return quota.min == 0 ? "-" : format_pages(quota.min);
}

std::string max_of(const policy::Quota& quota) {
  return quota.max == policy::Quota::kNoMax ? "-" : format_pages(quota.max);
}

std::string quota_line(const policy::Quota& quota) {
  return "minimum " + (quota.min == 0 ? "none" : min_of(quota)) + ", maximum " +
         (quota.max == policy::Quota::kNoMax ? "none" : max_of(quota)) + ", weight " +
         number(quota.weight);
}

std::string what_it_says(const node::ClientView& client) {
  if (!client.report) {
    return "-";
  }
  const node::MemoryReport& report = *client.report;
  return format_pages(report.resident_pages) + " of " + format_pages(report.ram_limit_pages) +
         ", uses " + format_pages(report.working_set_pages) + ", " +
         number(report.interval_faults) + " faults, " + number(report.interval_evictions) +
         " evictions, " + node::format_age(report.age_ns) + " ago";
}

}  // namespace

std::string format_ns(std::uint64_t ns) {
  static constexpr const char* kUnits[] = {"ns", "us", "ms", "s"};
  double value = static_cast<double>(ns);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return buffer;
}

std::string render(const node::NodeView& node) {
  return render_pairs(
      {{"version", node.version + ", epoch " + number(node.epoch)},
       {"up", node::format_age(node.uptime_ns)},
       {"memory", memory_line(node)},
       {"patterns", number(node.patterns) + " pages held without a frame"},
       {"compressed", compressed_line(node.compressed_pages, node.compressed_bytes)},
       {"VMs", number(node.vm_count) + ", served by " + number(node.workers) + " workers"},
       {"backing files", "speed: " + node.backing_speed},
       {"policy", node.policy},
       {"interval", format_ns(node.interval_ns)},
       {"controller", number(node.intervals) + " intervals, " + number(node.decisions) +
                          " decisions, " + number(node.target_changes) + " targets changed"}});
}

std::string render(const node::VmView& vm) {
  return render_pairs(
      {{"name", vm.name},
       {"disk", format_size(vm.size_bytes) + ", blocks of " + number(vm.block_size) + " bytes"},
       {"socket", vm.socket_path + " (" + state_of(vm) + ")"},
       {"backing", vm.backing_path + " (" + format_pages(vm.backing_pages) + " in use)"},
       {"served by", "worker " + number(vm.worker)},
       {"memory", format_pages(vm.used) + " of a target of " + format_pages(vm.target)},
       {"quota", quota_line(vm.quota)},
       {"patterns", number(vm.patterns) + " pages held without a frame"},
       {"compression", node::compression_name(vm.compression) + ", " +
                           compressed_line(vm.compressed_pages, vm.compressed_bytes)},
       {"demotion", demotion_of(vm) + ", " + number(vm.total.pages_demoted) + " pages so far"},
       {"interval", render_counters(vm.interval)},
       {"since it came", render_counters(vm.total)},
       {"put", render_latency(vm.put_p50_ns, vm.put_p99_ns)},
       {"get", render_latency(vm.get_p50_ns, vm.get_p99_ns)},
       {"pages read", number(vm.memory_reads) + " from memory, " + number(vm.backing_reads) +
                          " from the backing store, " + number(vm.hole_reads) + " from holes"},
       {"pages written", number(vm.memory_writes) + " to memory, " + number(vm.backing_writes) +
                             " to the backing store"},
       {"I/O errors", number(vm.io_errors) + ", " + number(vm.lost_pages) + " pages lost"},
       {"last decision", vm.reason.empty() ? "none yet" : vm.reason}});
}

std::string render(const std::vector<node::VmView>& vms) {
  constexpr Align kRight = Align::kRight;
  Table table({{"VM"},
               {"STATE"},
               {"SIZE", kRight},
               {"USED", kRight},
               {"TARGET", kRight},
               {"MIN", kRight},
               {"MAX", kRight},
               {"WEIGHT", kRight},
               {"BACKING", kRight},
               {"PUTS", kRight},
               {"FAILED", kRight},
               {"GETS", kRight},
               {"FLUSHES", kRight}});
  for (const node::VmView& vm : vms) {
    table.add_row({vm.name, state_of(vm), format_size(vm.size_bytes), format_pages(vm.used),
                   format_pages(vm.target), min_of(vm.quota), max_of(vm.quota),
                   number(vm.quota.weight), format_pages(vm.backing_pages),
                   number(vm.interval.puts_total), number(failed_puts(vm.interval)),
                   number(vm.interval.gets_total), number(vm.interval.flushes_total)});
  }
  return table.text();
}

std::string render(const std::vector<node::ClientView>& clients) {
  constexpr Align kRight = Align::kRight;
  Table table({{"CLIENT"},
               {"STATE"},
               {"USED", kRight},
               {"TARGET", kRight},
               {"MIN", kRight},
               {"MAX", kRight},
               {"WEIGHT", kRight},
               {"PUTS", kRight},
               {"FAILED", kRight},
               {"GETS", kRight},
               {"FLUSHES", kRight},
               {"SAYS OF ITS OWN MEMORY"}});
  for (const node::ClientView& client : clients) {
    table.add_row({client.name, client.connected ? "connected" : "awaited",
                   format_pages(client.used), format_pages(client.target), min_of(client.quota),
                   max_of(client.quota), number(client.quota.weight),
                   number(client.interval.puts_total), number(failed_puts(client.interval)),
                   number(client.interval.gets_total), number(client.interval.flushes_total),
                   what_it_says(client)});
  }
  return table.text();
}

std::string render(const node::NodeSnapshot& snapshot) {
  return memory_line(snapshot.node) + "; " + snapshot.node.policy + "\n" + render(snapshot.vms);
}

std::string render(const node::Explanation& explanation) {
  std::string text = (explanation.client ? explanation.client->name : explanation.vm.name) + ":\n";
  for (const std::string& finding : explanation.findings) {
    text += "  " + finding + "\n";
  }
  if (explanation.history.changes.empty()) {
    return text;
  }
  Table table({{"AGO", Align::kRight},
               {"TARGET", Align::kRight},
               {"USED", Align::kRight},
               {"FAILED", Align::kRight},
               {"REASON"}});
  for (const node::TargetChange& change : explanation.history.changes) {
    table.add_row({node::format_age(change.age_ns),
                   number(change.target_before) + " -> " + number(change.target_after),
                   number(change.used), number(change.puts_failed), change.reason});
  }
  return text + "\nTarget changes, in pages:\n" + table.text();
}

std::string render(const std::vector<node::QuotaView>& quotas) {
  constexpr Align kRight = Align::kRight;
  Table table({{"NAME"}, {"STATE"}, {"MIN", kRight}, {"MAX", kRight}, {"WEIGHT", kRight}});
  for (const node::QuotaView& quota : quotas) {
    table.add_row({quota.name, quota.present ? "here" : "not here", min_of(quota.quota),
                   max_of(quota.quota), number(quota.quota.weight)});
  }
  return table.text();
}

std::string render(const node::CurrentPolicy& policy) {
  return policy.spec + "\n" + policy.policy.summary + "\n";
}

std::string render(const std::vector<node::PolicyView>& policies) {
  Table table({{"POLICY"}, {"WHAT IT DOES"}, {"SETTINGS"}});
  for (const node::PolicyView& policy : policies) {
    table.add_row({policy.name, policy.summary, policy.settings.empty() ? "-" : policy.settings});
  }
  return table.text();
}

std::string render(const run::RunOutcome& outcome) {
  const pager::PagerStatistics& now = outcome.statistics;
  return "fallow run: " + number(outcome.processes) + " processes, at most " +
         format_pages(now.resident_max) + " of " + format_pages(now.ram_pages) + " in RAM\n" +
         "  faults " + number(now.faults) + " (" + number(now.faults_zero) + " first touches, " +
         number(now.faults_write) + " writes besides), half within " +
         format_ns(now.latency_ns.quantile(0.5)) + ", 99% within " +
         format_ns(now.latency_ns.quantile(0.99)) + "\n" + "  evictions " + number(now.evictions) +
         " (" + number(now.evictions_clean) + " without copying), prefetched " +
         number(now.prefetched) + " (" + number(now.prefetch_hits) + " wanted), refused " +
         number(now.failures) + "\n" + "  backing file: " + number(now.file_requests) +
         " requests, " + number(now.promotions) + " pages from there to the daemon, " +
         number(now.demotions) + " back" +
         (now.backing_speed.emulated() ? ", at the speed of " + now.backing_speed.described()
                                       : "") +
         "\n";
}

}  // namespace fallow::cli
