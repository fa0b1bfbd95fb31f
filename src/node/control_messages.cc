#include "node/control_messages.h"

#include "node/vm_rules.h"

namespace fallow::node {
namespace {

void write(const tmem::Counters& view, v1::Counters* message) {
  message->set_puts_total(view.puts_total);
  message->set_puts_succ(view.puts_succ);
  message->set_gets_total(view.gets_total);
  message->set_gets_succ(view.gets_succ);
  message->set_flushes_total(view.flushes_total);
  message->set_pages_flushed(view.pages_flushed);
  message->set_pages_evicted(view.pages_evicted);
  message->set_pages_demoted(view.pages_demoted);
}

tmem::Counters read(const v1::Counters& message) {
  tmem::Counters view;
  view.puts_total = message.puts_total();
  view.puts_succ = message.puts_succ();
  view.gets_total = message.gets_total();
  view.gets_succ = message.gets_succ();
  view.flushes_total = message.flushes_total();
  view.pages_flushed = message.pages_flushed();
  view.pages_evicted = message.pages_evicted();
  view.pages_demoted = message.pages_demoted();
  return view;
}

void write(const TargetChange& view, v1::TargetChange* message) {
  message->set_age_ns(view.age_ns);
  message->set_target_before(view.target_before);
  message->set_target_after(view.target_after);
  message->set_used(view.used);
  message->set_puts_failed(view.puts_failed);
  message->set_policy(view.policy);
  message->set_reason(view.reason);
}

void write(const TargetLoss& view, v1::TargetLoss* message) {
  write(view.change, message->mutable_change());
  for (const TargetRise& rise : view.rises) {
    v1::TargetRise* added = message->add_rises();
    added->set_name(rise.name);
    added->set_pages(rise.pages);
  }
  message->set_others(view.others);
  message->set_others_pages(view.others_pages);
}

void write(const TargetHistory& view, v1::ExplainVmResponse* message) {
  message->set_known_ns(view.known_ns);
  for (const TargetChange& change : view.changes) {
    write(change, message->add_changes());
  }
  if (view.last_loss) {
    write(*view.last_loss, message->mutable_last_loss());
  }
  if (view.reads_saved_by_tenth) {
    message->set_reads_saved_by_tenth(*view.reads_saved_by_tenth);
  }
}

void write(const MemoryReport& view, v1::MemoryReport* message) {
  message->set_age_ns(view.age_ns);
  message->set_ram_limit_pages(view.ram_limit_pages);
  message->set_resident_pages(view.resident_pages);
  message->set_faults_total(view.faults_total);
  message->set_evictions_total(view.evictions_total);
  message->set_prefetched_total(view.prefetched_total);
  message->set_prefetch_hits_total(view.prefetch_hits_total);
  message->set_backing_pages(view.backing_pages);
  message->set_working_set_pages(view.working_set_pages);
  message->set_backing_reads_total(view.backing_reads_total);
  message->set_backing_wait_ns_total(view.backing_wait_ns_total);
  message->set_interval_ns(view.interval_ns);
  message->set_interval_faults(view.interval_faults);
  message->set_interval_evictions(view.interval_evictions);
  for (const MissRatioPoint& point : view.curve) {
    v1::MissRatioPoint* added = message->add_curve();
    added->set_pages(point.pages);
    added->set_misses_per_million(point.misses_per_million);
  }
}

MemoryReport read(const v1::MemoryReport& message) {
  MemoryReport view;
  view.age_ns = message.age_ns();
  view.ram_limit_pages = message.ram_limit_pages();
  view.resident_pages = message.resident_pages();
  view.faults_total = message.faults_total();
  view.evictions_total = message.evictions_total();
  view.prefetched_total = message.prefetched_total();
  view.prefetch_hits_total = message.prefetch_hits_total();
  view.backing_pages = message.backing_pages();
  view.working_set_pages = message.working_set_pages();
  view.backing_reads_total = message.backing_reads_total();
  view.backing_wait_ns_total = message.backing_wait_ns_total();
  view.interval_ns = message.interval_ns();
  view.interval_faults = message.interval_faults();
  view.interval_evictions = message.interval_evictions();
  for (const v1::MissRatioPoint& point : message.curve()) {
    view.curve.push_back({point.pages(), point.misses_per_million()});
  }
  return view;
}

TargetChange read(const v1::TargetChange& message) {
  TargetChange view;
  view.age_ns = message.age_ns();
  view.target_before = message.target_before();
  view.target_after = message.target_after();
  view.used = message.used();
  view.puts_failed = message.puts_failed();
  view.policy = message.policy();
  view.reason = message.reason();
  return view;
}

TargetLoss read(const v1::TargetLoss& message) {
  TargetLoss view;
  view.change = read(message.change());
  for (const v1::TargetRise& rise : message.rises()) {
    view.rises.push_back({rise.name(), rise.pages()});
  }
  view.others = message.others();
  view.others_pages = message.others_pages();
  return view;
}

TargetHistory read_history(const v1::ExplainVmResponse& message) {
  TargetHistory view;
  view.known_ns = message.known_ns();
  for (const v1::TargetChange& change : message.changes()) {
    view.changes.push_back(read(change));
  }
  if (message.has_last_loss()) {
    view.last_loss = read(message.last_loss());
  }
  if (message.has_reads_saved_by_tenth()) {
    view.reads_saved_by_tenth = message.reads_saved_by_tenth();
  }
  return view;
}

void write(const policy::Quota& view, v1::Quota* message) {
  message->set_min(view.min);
  message->set_max(view.max);
  message->set_weight(view.weight);
}

policy::Quota read(const v1::Quota& message) {
  return {.min = message.min(), .max = message.max(), .weight = message.weight()};
}

}  // namespace

void write(const NodeView& view, v1::Node* message) {
  message->set_version(view.version);
  message->set_epoch(view.epoch);
  message->set_uptime_ns(view.uptime_ns);
  message->set_frames_total(view.frames_total);
  message->set_frames_free(view.frames_free);
  message->set_patterns(view.patterns);
  message->set_interval_ns(view.interval_ns);
  message->set_policy(view.policy);
  message->set_intervals(view.intervals);
  message->set_decisions(view.decisions);
  message->set_target_changes(view.target_changes);
  message->set_vm_count(view.vm_count);
  message->set_compressed_pages(view.compressed_pages);
  message->set_compressed_bytes(view.compressed_bytes);
  message->set_workers(view.workers);
  message->set_backing_speed(view.backing_speed);
}

NodeView read(const v1::Node& message) {
  NodeView view;
  view.version = message.version();
  view.epoch = message.epoch();
  view.uptime_ns = message.uptime_ns();
  view.frames_total = message.frames_total();
  view.frames_free = message.frames_free();
  view.patterns = message.patterns();
  view.interval_ns = message.interval_ns();
  view.policy = message.policy();
  view.intervals = message.intervals();
  view.decisions = message.decisions();
  view.target_changes = message.target_changes();
  view.vm_count = message.vm_count();
  view.compressed_pages = message.compressed_pages();
  view.compressed_bytes = message.compressed_bytes();
  view.workers = message.workers();
  view.backing_speed = message.backing_speed();
  return view;
}

void write(const VmView& view, v1::Vm* message) {
  message->set_name(view.name);
  message->set_size_bytes(view.size_bytes);
  message->set_block_size(view.block_size);
  message->set_socket_path(view.socket_path);
  message->set_backing_path(view.backing_path);
  message->set_connected(view.connected);
  message->set_used(view.used);
  message->set_target(view.target);
  message->set_patterns(view.patterns);
  message->set_backing_pages(view.backing_pages);
  message->set_demotion_pages_per_second(view.demotion_pages_per_second);
  write(view.total, message->mutable_total());
  write(view.interval, message->mutable_interval());
  message->set_put_p50_ns(view.put_p50_ns);
  message->set_put_p99_ns(view.put_p99_ns);
  message->set_get_p50_ns(view.get_p50_ns);
  message->set_get_p99_ns(view.get_p99_ns);
  message->set_memory_reads(view.memory_reads);
  message->set_backing_reads(view.backing_reads);
  message->set_hole_reads(view.hole_reads);
  message->set_memory_writes(view.memory_writes);
  message->set_backing_writes(view.backing_writes);
  message->set_io_errors(view.io_errors);
  message->set_reason(view.reason);
  message->set_lost_pages(view.lost_pages);
  message->set_compress(compression_name(view.compression));
  message->set_compressed_pages(view.compressed_pages);
  message->set_compressed_bytes(view.compressed_bytes);
  message->set_worker(view.worker);
  write(view.quota, message->mutable_quota());
}

VmView read(const v1::Vm& message) {
  VmView view;
  view.name = message.name();
  view.size_bytes = message.size_bytes();
  view.block_size = message.block_size();
  view.socket_path = message.socket_path();
  view.backing_path = message.backing_path();
  view.connected = message.connected();
  view.used = message.used();
  view.target = message.target();
  view.patterns = message.patterns();
  view.backing_pages = message.backing_pages();
  view.demotion_pages_per_second = message.demotion_pages_per_second();
  view.total = read(message.total());
  view.interval = read(message.interval());
  view.put_p50_ns = message.put_p50_ns();
  view.put_p99_ns = message.put_p99_ns();
  view.get_p50_ns = message.get_p50_ns();
  view.get_p99_ns = message.get_p99_ns();
  view.memory_reads = message.memory_reads();
  view.backing_reads = message.backing_reads();
  view.hole_reads = message.hole_reads();
  view.memory_writes = message.memory_writes();
  view.backing_writes = message.backing_writes();
  view.io_errors = message.io_errors();
  view.reason = message.reason();
  view.lost_pages = message.lost_pages();
  const auto compression = parse_compression(message.compress());
  view.compression = compression ? *compression : tmem::Compression::kOff;
  view.compressed_pages = message.compressed_pages();
  view.compressed_bytes = message.compressed_bytes();
  view.worker = message.worker();
  if (message.has_quota()) {
    view.quota = read(message.quota());
  }
  return view;
}

void write(const ClientView& view, v1::Client* message) {
  message->set_name(view.name);
  message->set_connected(view.connected);
  message->set_used(view.used);
  message->set_target(view.target);
  message->set_patterns(view.patterns);
  write(view.total, message->mutable_total());
  write(view.interval, message->mutable_interval());
  message->set_reason(view.reason);
  if (view.report) {
    write(*view.report, message->mutable_report());
  }
  write(view.quota, message->mutable_quota());
}

ClientView read(const v1::Client& message) {
  ClientView view;
  view.name = message.name();
  view.connected = message.connected();
  view.used = message.used();
  view.target = message.target();
  view.patterns = message.patterns();
  view.total = read(message.total());
  view.interval = read(message.interval());
  view.reason = message.reason();
  if (message.has_report()) {
    view.report = read(message.report());
  }
  if (message.has_quota()) {
    view.quota = read(message.quota());
  }
  return view;
}

void write(const Explanation& view, v1::ExplainVmResponse* message) {
  if (view.client) {
    write(*view.client, message->mutable_client());
  } else {
    write(view.vm, message->mutable_vm());
  }
  message->set_policy(view.policy);
  for (const std::string& finding : view.findings) {
    message->add_findings(finding);
  }
  write(view.history, message);
}

Explanation read(const v1::ExplainVmResponse& message) {
  Explanation view;
  if (message.has_client()) {
    view.client = read(message.client());
  } else {
    view.vm = read(message.vm());
  }
  view.policy = message.policy();
  view.findings.assign(message.findings().begin(), message.findings().end());
  view.history = read_history(message);
  return view;
}

void write(const QuotaRequest& view, v1::QuotaRequest* message) {
  message->set_min(view.min);
  message->set_max(view.max);
  message->set_weight(view.weight);
}

QuotaRequest read(const v1::QuotaRequest& message) {
  return {.min = message.min(), .max = message.max(), .weight = message.weight()};
}

void write(const QuotaView& view, v1::NamedQuota* message) {
  message->set_name(view.name);
  write(view.request, message->mutable_request());
  write(view.quota, message->mutable_quota());
  message->set_present(view.present);
}

QuotaView read(const v1::NamedQuota& message) {
  return {.name = message.name(),
          .request = read(message.request()),
          .quota = read(message.quota()),
          .present = message.present()};
}

void write(const PolicyView& view, v1::Policy* message) {
  message->set_name(view.name);
  message->set_summary(view.summary);
  message->set_settings(view.settings);
}

PolicyView read(const v1::Policy& message) {
  PolicyView view;
  view.name = message.name();
  view.summary = message.summary();
  view.settings = message.settings();
  return view;
}

}  // namespace fallow::node
