#include "node/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "base/units.h"

namespace fallow::node {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// From 256 ns to 8.6 s, in powers of two.
constexpr unsigned kBucketShiftMin = 8;
constexpr unsigned kBucketShiftMax = 33;

ClientMetric metric(MetricType type, double value, Labels labels) {
  ClientMetric result;
  result.label = std::move(labels);
  (type == MetricType::Counter ? result.counter.value : result.gauge.value) = value;
  return result;
}

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily result;
  result.name = name;
  result.help = help;
  result.type = type;
  return result;
}

double bytes_of(std::uint64_t pages) {
  return static_cast<double>(pages) * kPageSize;
}

double bytes_of_maximum(const policy::Quota& quota) {
  return quota.max == policy::Quota::kNoMax ? std::numeric_limits<double>::infinity()
                                            : bytes_of(quota.max);
}

std::uint64_t failed_puts(const VmView& vm) {
  return vm.total.puts_total - std::min(vm.total.puts_total, vm.total.puts_succ);
}

struct NodeMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const NodeView& node);
};

constexpr NodeMetric kNodeMetrics[] = {
    {"fallow_memory_total_bytes", "Memory that this host contributes", MetricType::Gauge,
     [](const NodeView& node) { return bytes_of(node.frames_total); }},
    {"fallow_memory_free_bytes", "Memory that holds no page", MetricType::Gauge,
     [](const NodeView& node) { return bytes_of(node.frames_free); }},
    {"fallow_uptime_seconds", "Since the node started", MetricType::Gauge,
     [](const NodeView& node) { return static_cast<double>(node.uptime_ns) / 1e9; }},
    {"fallow_controller_intervals_total", "Intervals that have ended", MetricType::Counter,
     [](const NodeView& node) { return static_cast<double>(node.intervals); }},
    {"fallow_controller_decisions_total", "Times that the policy was asked", MetricType::Counter,
     [](const NodeView& node) { return static_cast<double>(node.decisions); }},
    {"fallow_controller_target_changes_total", "Targets that a decision changed",
     MetricType::Counter,
     [](const NodeView& node) { return static_cast<double>(node.target_changes); }},
};

struct VmMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const VmView& vm);
};

constexpr VmMetric kVmMetrics[] = {
    {"fallow_vm_size_bytes", "Size of the VM's disk", MetricType::Gauge,
     [](const VmView& vm) { return static_cast<double>(vm.size_bytes); }},
    {"fallow_vm_connected", "Whether a front end holds the VM's socket", MetricType::Gauge,
     [](const VmView& vm) { return vm.connected ? 1.0 : 0.0; }},
    {"fallow_vm_used_bytes", "Memory that the VM's pages hold", MetricType::Gauge,
     [](const VmView& vm) { return bytes_of(vm.used); }},
    {"fallow_vm_target_bytes", "Memory that the VM may hold", MetricType::Gauge,
     [](const VmView& vm) { return bytes_of(vm.target); }},
    {"fallow_vm_min_bytes", "Memory that the VM may hold whatever others do", MetricType::Gauge,
     [](const VmView& vm) { return bytes_of(vm.quota.min); }},
    {"fallow_vm_max_bytes", "Memory that the VM may hold whatever is free", MetricType::Gauge,
     [](const VmView& vm) { return bytes_of_maximum(vm.quota); }},
    {"fallow_vm_weight", "The VM's weight when memory is divided", MetricType::Gauge,
     [](const VmView& vm) { return static_cast<double>(vm.quota.weight); }},
    {"fallow_vm_pattern_pages", "Pages of one repeated word, held without a frame",
     MetricType::Gauge, [](const VmView& vm) { return static_cast<double>(vm.patterns); }},
    {"fallow_vm_compressed_pages", "Pages held compressed", MetricType::Gauge,
     [](const VmView& vm) { return static_cast<double>(vm.compressed_pages); }},
    {"fallow_vm_compressed_bytes", "Memory, of what the VM holds, that its compressed pages take",
     MetricType::Gauge, [](const VmView& vm) { return static_cast<double>(vm.compressed_bytes); }},
    {"fallow_vm_backing_bytes", "The VM's pages in its backing store", MetricType::Gauge,
     [](const VmView& vm) { return bytes_of(vm.backing_pages); }},
    {"fallow_vm_puts_total", "Puts asked for", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.puts_total); }},
    {"fallow_vm_puts_failed_total", "Puts refused", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(failed_puts(vm)); }},
    {"fallow_vm_gets_total", "Gets asked for", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.gets_total); }},
    {"fallow_vm_gets_found_total", "Gets that found their page", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.gets_succ); }},
    {"fallow_vm_flushes_total", "Flushes asked for", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.flushes_total); }},
    {"fallow_vm_pages_flushed_total", "Pages freed by flushes", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.pages_flushed); }},
    {"fallow_vm_pages_evicted_total", "Ephemeral pages that gave way", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.pages_evicted); }},
    {"fallow_vm_pages_demoted_total", "Pages moved to the backing store", MetricType::Counter,
     [](const VmView& vm) { return static_cast<double>(vm.total.pages_demoted); }},
    {"fallow_vm_io_errors_total", "Operations of the backing store that failed",
     MetricType::Counter, [](const VmView& vm) { return static_cast<double>(vm.io_errors); }},
    {"fallow_vm_lost_bytes", "Pages that answer with an error until they are written",
     MetricType::Gauge, [](const VmView& vm) { return bytes_of(vm.lost_pages); }},
};

struct ClientFigure {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const ClientView& client);
};

constexpr ClientFigure kClientMetrics[] = {
    {"fallow_client_connected", "Whether the client is there: else its pages wait for it",
     MetricType::Gauge, [](const ClientView& client) { return client.connected ? 1.0 : 0.0; }},
    {"fallow_client_used_bytes", "Memory that the client's pages hold", MetricType::Gauge,
     [](const ClientView& client) { return bytes_of(client.used); }},
    {"fallow_client_target_bytes", "Memory that the client may hold", MetricType::Gauge,
     [](const ClientView& client) { return bytes_of(client.target); }},
    {"fallow_client_min_bytes", "Memory that the client may hold whatever others do",
     MetricType::Gauge, [](const ClientView& client) { return bytes_of(client.quota.min); }},
    {"fallow_client_max_bytes", "Memory that the client may hold whatever is free",
     MetricType::Gauge, [](const ClientView& client) { return bytes_of_maximum(client.quota); }},
    {"fallow_client_weight", "The client's weight when memory is divided", MetricType::Gauge,
     [](const ClientView& client) { return static_cast<double>(client.quota.weight); }},
};

// What a client says of itself: named so that nobody takes it for what we know.
struct ReportMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const MemoryReport& report);
};

constexpr ReportMetric kReportMetrics[] = {
    {"fallow_client_says_age_seconds", "Since the client last said something of its own memory",
     MetricType::Gauge,
     [](const MemoryReport& report) { return static_cast<double>(report.age_ns) / 1e9; }},
    {"fallow_client_says_ram_limit_bytes", "What the client says that it may keep in RAM",
     MetricType::Gauge,
     [](const MemoryReport& report) { return bytes_of(report.ram_limit_pages); }},
    {"fallow_client_says_resident_bytes", "What the client says that it keeps in RAM",
     MetricType::Gauge, [](const MemoryReport& report) { return bytes_of(report.resident_pages); }},
    {"fallow_client_says_working_set_bytes", "What the client says is in use of late",
     MetricType::Gauge,
     [](const MemoryReport& report) { return bytes_of(report.working_set_pages); }},
    {"fallow_client_says_backing_bytes", "What the client says is in a store of its own",
     MetricType::Gauge, [](const MemoryReport& report) { return bytes_of(report.backing_pages); }},
    {"fallow_client_says_faults_total", "Faults that the client says it had", MetricType::Counter,
     [](const MemoryReport& report) { return static_cast<double>(report.faults_total); }},
    {"fallow_client_says_evictions_total", "Pages that the client says it moved out of RAM",
     MetricType::Counter,
     [](const MemoryReport& report) { return static_cast<double>(report.evictions_total); }},
    {"fallow_client_says_prefetched_total", "Pages that the client says it brought in ahead",
     MetricType::Counter,
     [](const MemoryReport& report) { return static_cast<double>(report.prefetched_total); }},
    {"fallow_client_says_prefetch_hits_total", "Of these, wanted afterwards, as the client says",
     MetricType::Counter,
     [](const MemoryReport& report) { return static_cast<double>(report.prefetch_hits_total); }},
};

// One family with a label that says where the page was: source or destination.
struct PlacedMetric {
  const char* name;
  const char* help;
  struct {
    const char* place;
    std::uint64_t VmView::*count;
  } places[3];
};

constexpr PlacedMetric kPlacedMetrics[] = {
    {"fallow_vm_pages_read_total",
     "Pages that the VM's disk read, by where they were",
     {{"memory", &VmView::memory_reads},
      {"backing", &VmView::backing_reads},
      {"hole", &VmView::hole_reads}}},
    {"fallow_vm_pages_written_total",
     "Pages that the VM's disk wrote, by where they went",
     {{"memory", &VmView::memory_writes},
      {"backing", &VmView::backing_writes},
      {nullptr, nullptr}}},
};

ClientMetric histogram(const Histogram::Snapshot& snapshot, const std::string& vm) {
  ClientMetric result;
  result.label = {{"vm", vm}};
  result.histogram.sample_count = snapshot.total;
  result.histogram.sample_sum = static_cast<double>(snapshot.sum) / 1e9;
  std::uint64_t cumulative = 0;
  unsigned next = 0;
  for (unsigned shift = kBucketShiftMin; shift <= kBucketShiftMax; ++shift) {
    // Our buckets end exactly below each power of two.
    const std::uint64_t bound_ns = (std::uint64_t{1} << shift) - 1;
    for (; next < Histogram::kBuckets && Histogram::upper_bound(next) <= bound_ns; ++next) {
      cumulative += snapshot.counts[next];
    }
    result.histogram.bucket.push_back({cumulative, static_cast<double>(bound_ns) / 1e9});
  }
  result.histogram.bucket.push_back({snapshot.total, std::numeric_limits<double>::infinity()});
  return result;
}

MetricFamily latency_family(const char* name, const char* help,
                            const std::vector<VmLatency>& latencies,
                            Histogram::Snapshot tmem::LatencySnapshot::*which) {
  MetricFamily result = family(name, help, MetricType::Histogram);
  for (const VmLatency& vm : latencies) {
    result.metric.push_back(histogram(vm.latency.*which, vm.name));
  }
  return result;
}

void collect_node(const NodeView& node, std::vector<MetricFamily>& families) {
  for (const NodeMetric& entry : kNodeMetrics) {
    families.push_back(family(entry.name, entry.help, entry.type));
    families.back().metric.push_back(metric(entry.type, entry.value(node), {}));
  }
  families.push_back(family("fallow_info", "What runs: always 1", MetricType::Gauge));
  families.back().metric.push_back(metric(
      MetricType::Gauge, 1,
      {{"version", node.version}, {"policy", node.policy}, {"epoch", std::to_string(node.epoch)}}));
}

void collect_vms(const std::vector<VmView>& vms, std::vector<MetricFamily>& families) {
  for (const VmMetric& entry : kVmMetrics) {
    families.push_back(family(entry.name, entry.help, entry.type));
    for (const VmView& vm : vms) {
      families.back().metric.push_back(metric(entry.type, entry.value(vm), {{"vm", vm.name}}));
    }
  }
  for (const PlacedMetric& entry : kPlacedMetrics) {
    families.push_back(family(entry.name, entry.help, MetricType::Counter));
    for (const VmView& vm : vms) {
      for (const auto& [place, count] : entry.places) {
        if (place != nullptr) {
          families.back().metric.push_back(metric(MetricType::Counter,
                                                  static_cast<double>(vm.*count),
                                                  {{"vm", vm.name}, {"place", place}}));
        }
      }
    }
  }
}

void collect_clients(const std::vector<ClientView>& clients, std::vector<MetricFamily>& families) {
  for (const ClientFigure& entry : kClientMetrics) {
    families.push_back(family(entry.name, entry.help, entry.type));
    for (const ClientView& client : clients) {
      families.back().metric.push_back(
          metric(entry.type, entry.value(client), {{"client", client.name}}));
    }
  }
  for (const ReportMetric& entry : kReportMetrics) {
    families.push_back(family(entry.name, entry.help, entry.type));
    for (const ClientView& client : clients) {
      if (client.report) {
        families.back().metric.push_back(
            metric(entry.type, entry.value(*client.report), {{"client", client.name}}));
      }
    }
  }
}

std::vector<MetricFamily> families_of(const MetricsReading& reading) {
  std::vector<MetricFamily> families;
  collect_node(reading.snapshot.node, families);
  collect_vms(reading.snapshot.vms, families);
  collect_clients(reading.snapshot.clients, families);
  families.push_back(latency_family("fallow_vm_put_seconds", "Time of a put, sampled",
                                    reading.latencies, &tmem::LatencySnapshot::put_ns));
  families.push_back(latency_family("fallow_vm_get_seconds", "Time of a get, sampled",
                                    reading.latencies, &tmem::LatencySnapshot::get_ns));
  return families;
}

class Collector final : public prometheus::Collectable {
 public:
  explicit Collector(std::function<MetricsReading()> read) : read_(std::move(read)) {}
  [[nodiscard]] std::vector<MetricFamily> Collect() const override { return families_of(read_()); }

 private:
  std::function<MetricsReading()> read_;
};

}  // namespace

struct MetricsServer::Impl {
  std::shared_ptr<Collector> collector;  // the exposer keeps a weak pointer only
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MetricsServer::~MetricsServer() {
  impl_->exposer.reset();  // joins its threads before what they read goes
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& listen,
                                                            std::function<MetricsReading()> read) {
  auto impl = std::make_unique<Impl>();
  impl->collector = std::make_shared<Collector>(std::move(read));
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(listen, 1);
    impl->exposer->RegisterCollectable(impl->collector);
  } catch (const std::exception&) {  // it says no more than that it failed
    return failed("cannot serve metrics on '" + listen +
                  "': is the port taken? [metrics] listen says where, or \"off\"");
  }
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

int MetricsServer::port() const {
  return impl_->exposer->GetListeningPorts().front();
}

std::string metrics_text(const MetricsReading& reading) {
  return prometheus::TextSerializer().Serialize(families_of(reading));
}

}  // namespace fallow::node
