#include "sim/outcome_text.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace fallow::sim {
namespace {

using Json = nlohmann::json;

void sort_by_total(std::vector<Outcome>& outcomes) {
  std::stable_sort(outcomes.begin(), outcomes.end(),
                   [](const Outcome& a, const Outcome& b) { return a.total_s < b.total_s; });
}

std::string line(const std::string& policy, const std::string& client, double running_s,
                 std::uint64_t refaults, std::uint64_t hits, std::uint64_t refused,
                 std::uint64_t frames, int policy_width) {
  char text[256];
  std::snprintf(text, sizeof text, "%-*s  %-12s %12.3f %10llu %10llu %10llu %10llu\n", policy_width,
                policy.c_str(), client.c_str(), running_s,
                static_cast<unsigned long long>(refaults), static_cast<unsigned long long>(hits),
                static_cast<unsigned long long>(refused), static_cast<unsigned long long>(frames));
  return text;
}

Json client_json(const ClientOutcome& client) {
  return {{"name", client.name},
          {"running_s", client.running_s},
          {"refaults", client.figures.refaults},
          {"memory_hits", client.figures.memory_hits},
          {"puts", client.puts},
          {"refused_puts", client.figures.refused_puts},
          {"promotions", client.figures.promotions},
          {"demotions", client.figures.demotions},
          {"backing_requests", client.figures.backing_requests},
          {"backing_wait_s", static_cast<double>(client.figures.backing_wait_ns) / 1e9},
          {"frames_peak", client.frames_peak}};
}

}  // namespace

std::string to_table(std::vector<Outcome> outcomes) {
  sort_by_total(outcomes);
  std::size_t width = 6;
  for (const Outcome& outcome : outcomes) {
    width = std::max(width, std::min<std::size_t>(outcome.policy.size(), 60));
  }
  const int columns = static_cast<int>(width);
  char head[256];
  std::snprintf(head, sizeof head, "%-*s  %-12s %12s %10s %10s %10s %10s\n", columns, "policy",
                "client", "running s", "refaults", "hits", "refused", "frames");
  std::string text = head;
  for (const Outcome& outcome : outcomes) {
    const std::string policy = outcome.policy.substr(0, width);
    std::uint64_t hits = 0;
    std::uint64_t refused = 0;
    for (const ClientOutcome& client : outcome.clients) {
      const ClientFigures& its = client.figures;
      text += line(policy, client.name, client.running_s, its.refaults, its.memory_hits,
                   its.refused_puts, client.frames_peak, columns);
      hits += its.memory_hits;
      refused += its.refused_puts;
    }
    char sum[256];
    std::snprintf(sum, sizeof sum, "%-*s  %-12s %12.3f %10llu %10llu %10llu\n", columns,
                  policy.c_str(), "all", outcome.total_s,
                  static_cast<unsigned long long>(outcome.refaults),
                  static_cast<unsigned long long>(hits), static_cast<unsigned long long>(refused));
    text += sum;
  }
  return text;
}

std::string to_json(const Script& script, std::vector<Outcome> outcomes) {
  sort_by_total(outcomes);
  Json all = Json::array();
  for (const Outcome& outcome : outcomes) {
    Json clients = Json::array();
    for (const ClientOutcome& client : outcome.clients) {
      clients.push_back(client_json(client));
    }
    all.push_back({{"policy", outcome.policy},
                   {"total_s", outcome.total_s},
                   {"refaults", outcome.refaults},
                   {"target_changes", outcome.target_changes},
                   {"clients", clients}});
  }
  const Json whole = {{"policies", all}, {"doubts", script.doubts}};
  return whole.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fallow::sim
