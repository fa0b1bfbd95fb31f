#include "cli/json_output.h"

#include <nlohmann/json.hpp>

#include "node/vm_rules.h"

namespace fallow::cli {
namespace {

using Json = nlohmann::ordered_json;

// Paths may be any bytes; what is no UTF-8 must not throw.
std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json json_of(const tmem::Counters& counters) {
  return {{"puts_total", counters.puts_total},       {"puts_succ", counters.puts_succ},
          {"gets_total", counters.gets_total},       {"gets_succ", counters.gets_succ},
          {"flushes_total", counters.flushes_total}, {"pages_flushed", counters.pages_flushed},
          {"pages_evicted", counters.pages_evicted}, {"pages_demoted", counters.pages_demoted}};
}

Json json_of(const node::NodeView& node) {
  return {{"version", node.version},
          {"epoch", node.epoch},
          {"uptime_ns", node.uptime_ns},
          {"frames_total", node.frames_total},
          {"frames_free", node.frames_free},
          {"patterns", node.patterns},
          {"compressed_pages", node.compressed_pages},
          {"compressed_bytes", node.compressed_bytes},
          {"interval_ns", node.interval_ns},
          {"policy", node.policy},
          {"intervals", node.intervals},
          {"decisions", node.decisions},
          {"target_changes", node.target_changes},
          {"vm_count", node.vm_count},
          {"workers", node.workers},
          {"backing_speed", node.backing_speed}};
}

// In pages; no maximum is null.
Json json_of(const policy::Quota& quota) {
  return {{"min", quota.min},
          {"max", quota.max == policy::Quota::kNoMax ? Json() : Json(quota.max)},
          {"weight", quota.weight}};
}

// With what was asked for; what was not is null.
Json json_of(const node::QuotaView& quota) {
  const node::QuotaRequest& request = quota.request;
  return {{"name", quota.name},
          {"present", quota.present},
          {"quota", json_of(quota.quota)},
          {"asked",
           {{"min", request.min.empty() ? Json() : Json(request.min)},
            {"max", request.max.empty() ? Json() : Json(request.max)},
            {"weight", request.weight == 0 ? Json() : Json(request.weight)}}}};
}

Json json_of(const node::VmView& vm) {
  return {{"name", vm.name},
          {"size_bytes", vm.size_bytes},
          {"block_size", vm.block_size},
          {"socket_path", vm.socket_path},
          {"backing_path", vm.backing_path},
          {"connected", vm.connected},
          {"used", vm.used},
          {"target", vm.target},
          {"quota", json_of(vm.quota)},
          {"patterns", vm.patterns},
          {"compress", node::compression_name(vm.compression)},
          {"compressed_pages", vm.compressed_pages},
          {"compressed_bytes", vm.compressed_bytes},
          {"backing_pages", vm.backing_pages},
          {"demotion_pages_per_second", vm.demotion_pages_per_second},
          {"total", json_of(vm.total)},
          {"interval", json_of(vm.interval)},
          {"put_p50_ns", vm.put_p50_ns},
          {"put_p99_ns", vm.put_p99_ns},
          {"get_p50_ns", vm.get_p50_ns},
          {"get_p99_ns", vm.get_p99_ns},
          {"memory_reads", vm.memory_reads},
          {"backing_reads", vm.backing_reads},
          {"hole_reads", vm.hole_reads},
          {"memory_writes", vm.memory_writes},
          {"backing_writes", vm.backing_writes},
          {"io_errors", vm.io_errors},
          {"lost_pages", vm.lost_pages},
          {"worker", vm.worker},
          {"reason", vm.reason}};
}

Json json_of(const node::MemoryReport& report) {
  Json curve = Json::array();
  for (const node::MissRatioPoint& point : report.curve) {
    curve.push_back({{"pages", point.pages}, {"misses_per_million", point.misses_per_million}});
  }
  return {{"age_ns", report.age_ns},
          {"ram_limit_pages", report.ram_limit_pages},
          {"resident_pages", report.resident_pages},
          {"working_set_pages", report.working_set_pages},
          {"backing_pages", report.backing_pages},
          {"backing_reads_total", report.backing_reads_total},
          {"backing_wait_ns_total", report.backing_wait_ns_total},
          {"faults_total", report.faults_total},
          {"evictions_total", report.evictions_total},
          {"prefetched_total", report.prefetched_total},
          {"prefetch_hits_total", report.prefetch_hits_total},
          {"interval_ns", report.interval_ns},
          {"interval_faults", report.interval_faults},
          {"interval_evictions", report.interval_evictions},
          {"curve", curve}};
}

Json json_of(const node::ClientView& client) {
  return {{"name", client.name},
          {"connected", client.connected},
          {"used", client.used},
          {"target", client.target},
          {"quota", json_of(client.quota)},
          {"patterns", client.patterns},
          {"total", json_of(client.total)},
          {"interval", json_of(client.interval)},
          {"reason", client.reason},
          {"report", client.report ? json_of(*client.report) : Json()}};
}

Json json_of(const node::TargetChange& change) {
  return {{"age_ns", change.age_ns},
          {"target_before", change.target_before},
          {"target_after", change.target_after},
          {"used", change.used},
          {"puts_failed", change.puts_failed},
          {"policy", change.policy},
          {"reason", change.reason}};
}

Json json_of(const node::TargetLoss& loss) {
  Json json = json_of(loss.change);
  json["rises"] = Json::array();
  for (const node::TargetRise& rise : loss.rises) {
    json["rises"].push_back({{"name", rise.name}, {"pages", rise.pages}});
  }
  json["others"] = loss.others;
  json["others_pages"] = loss.others_pages;
  return json;
}

Json json_of(const node::PolicyView& policy) {
  return {{"name", policy.name}, {"summary", policy.summary}, {"settings", policy.settings}};
}

Json json_of(const TomlError& error) {
  return {{"line", error.line}, {"text", error.text}};
}

template <typename View>
Json list_of(const std::vector<View>& views) {
  Json list = Json::array();
  for (const View& view : views) {
    list.push_back(json_of(view));
  }
  return list;
}

}  // namespace

std::string to_json(const node::NodeView& node) {
  return line(json_of(node));
}

std::string to_json(const node::VmView& vm) {
  return line(json_of(vm));
}

std::string to_json(const node::NodeSnapshot& snapshot) {
  return line({{"node", json_of(snapshot.node)},
               {"vms", list_of(snapshot.vms)},
               {"clients", list_of(snapshot.clients)}});
}

std::string to_json(const std::vector<node::ClientView>& clients) {
  return line({{"clients", list_of(clients)}});
}

std::string to_json(const node::Explanation& explanation) {
  const Json about = explanation.client ? json_of(*explanation.client) : json_of(explanation.vm);
  const node::TargetHistory& history = explanation.history;
  return line({{explanation.client ? "client" : "vm", about},
               {"policy", explanation.policy},
               {"findings", explanation.findings},
               {"known_ns", history.known_ns},
               {"last_loss", history.last_loss ? json_of(*history.last_loss) : Json()},
               {"reads_saved_by_tenth",
                history.reads_saved_by_tenth ? Json(*history.reads_saved_by_tenth) : Json()},
               {"changes", list_of(history.changes)}});
}

std::string to_json(const node::QuotaView& quota) {
  return line(json_of(quota));
}

std::string to_json(const std::vector<node::QuotaView>& quotas) {
  return line({{"quotas", list_of(quotas)}});
}

std::string cleared_to_json(const std::string& name) {
  return line({{"cleared", name}});
}

std::string to_json(const node::CurrentPolicy& policy) {
  return line({{"spec", policy.spec},
               {"name", policy.policy.name},
               {"summary", policy.policy.summary},
               {"settings", policy.policy.settings}});
}

std::string to_json(const std::vector<node::PolicyView>& policies) {
  return line({{"policies", list_of(policies)}});
}

std::string to_json(const node::PolicySwitch& done) {
  return line({{"spec", done.spec}, {"previous", done.previous}});
}

std::string to_json(const std::vector<TomlError>& errors) {
  return line({{"valid", errors.empty()}, {"errors", list_of(errors)}});
}

std::string to_json(const run::RunOutcome& outcome) {
  const pager::PagerStatistics& now = outcome.statistics;
  return line({{"exit_code", outcome.exit_code},
               {"processes", outcome.processes},
               {"ram_limit", now.ram_pages * kPageSize},
               {"resident_max", now.resident_max * kPageSize},
               {"faults", now.faults},
               {"faults_zero", now.faults_zero},
               {"faults_write", now.faults_write},
               {"evictions", now.evictions},
               {"evictions_clean", now.evictions_clean},
               {"probes", now.probes},
               {"promotions", now.promotions},
               {"demotions", now.demotions},
               {"prefetched", now.prefetched},
               {"prefetch_hits", now.prefetch_hits},
               {"failures", now.failures},
               {"backing_requests", now.file_requests},
               {"backing_speed", now.backing_speed.described()},
               {"latency_ns",
                {{"p50", now.latency_ns.quantile(0.5)},
                 {"p99", now.latency_ns.quantile(0.99)},
                 {"max", now.latency_ns.quantile(1.0)}}}});
}

std::string removed_to_json(const std::string& vm) {
  return line({{"removed", vm}});
}

}  // namespace fallow::cli
