#include "node/demands.h"

namespace fallow::node {
namespace {

constexpr std::uint64_t kReportNsMax = 5'000'000'000;

std::optional<policy::MissRatioCurve> curve_of(const MemoryReport& report) {
  std::vector<policy::MissRatioCurve::Point> points;
  for (const MissRatioPoint& point : report.curve) {
    points.push_back({point.pages, static_cast<double>(point.misses_per_million) / 1e6});
  }
  return points.empty() ? std::nullopt : std::optional<policy::MissRatioCurve>(std::move(points));
}

}  // namespace

DemandTotals demand_of(const DeviceStatistics& device) {
  return {.backing_reads = device.backing_reads,
          .backing_wait_ns = device.backing_wait_ns,
          .backing_pages = device.backing_pages};
}

std::optional<DemandTotals> demand_of(const MemoryReport& report) {
  if (report.age_ns > kReportNsMax) {
    return std::nullopt;
  }
  return DemandTotals{.backing_reads = report.backing_reads_total,
                      .backing_wait_ns = report.backing_wait_ns_total,
                      .backing_pages = report.backing_pages,
                      .curve = curve_of(report),
                      .ram_pages = report.ram_limit_pages};
}

void Demands::fade(std::uint64_t interval_ns) {
  for (auto& [client, entry] : entries_) {
    entry.demand.memory_reads *= policy::Demand::kFade;
    entry.demand.backing_reads *= policy::Demand::kFade;
    entry.demand.backing_wait_ns *= policy::Demand::kFade;
    entry.demand.elapsed_ns *= policy::Demand::kFade;
    entry.demand.elapsed_ns += static_cast<double>(interval_ns);
  }
}

void Demands::note_totals(const std::map<ClientId, DemandTotals>& totals) {
  for (auto& [client, entry] : entries_) {
    entry.demand.known = totals.contains(client);
  }
  for (const auto& [client, now] : totals) {
    Entry& entry = entries_[client];
    policy::Demand& demand = entry.demand;
    demand.known = true;
    demand.backing_reads +=
        static_cast<double>(risen(entry.totals.backing_reads, now.backing_reads));
    demand.backing_wait_ns +=
        static_cast<double>(risen(entry.totals.backing_wait_ns, now.backing_wait_ns));
    demand.backing_pages = now.backing_pages;
    demand.curve = now.curve;
    demand.ram_pages = now.ram_pages;
    entry.totals = now;
  }
}

void Demands::note_reads(const tmem::ClientStatistics& client) {
  entries_[client.id].demand.memory_reads += static_cast<double>(client.interval.gets_succ);
}

void Demands::forget_all_but(const std::set<ClientId>& clients) {
  std::erase_if(entries_, [&](const auto& entry) { return !clients.contains(entry.first); });
}

policy::Demand Demands::of(ClientId client) const {
  const auto found = entries_.find(client);
  return found == entries_.end() ? policy::Demand{} : found->second.demand;
}

}  // namespace fallow::node
