#include "node/ring_clients.h"

#include <sys/random.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "node/demands.h"

namespace fallow::node {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

tmem::ClientSecret make_secret() {
  tmem::ClientSecret secret;
  const std::size_t bytes = sizeof secret.words;
  CHECK(::getrandom(secret.words.data(), bytes, 0) == static_cast<ssize_t>(bytes));
  secret.words[0] |= 1;  // never none
  return secret;
}

ring::Secret to_ring(const tmem::ClientSecret& secret) {
  return {{secret.words[0], secret.words[1]}};
}

// In a time that does not tell how much of it is right.
bool matches(const tmem::ClientSecret& ours, const ring::Secret& theirs) {
  const std::uint64_t difference =
      (ours.words[0] ^ theirs.words[0]) | (ours.words[1] ^ theirs.words[1]);
  return difference == 0 && ours.words[0] != 0;
}

MemoryReport view_of(const ring::MemoryReport& report) {
  MemoryReport view{.ram_limit_pages = report.ram_limit_pages,
                    .resident_pages = report.resident_pages,
                    .faults_total = report.faults_total,
                    .evictions_total = report.evictions_total,
                    .prefetched_total = report.prefetched_total,
                    .prefetch_hits_total = report.prefetch_hits_total,
                    .backing_pages = report.backing_pages,
                    .working_set_pages = report.working_set_pages,
                    .backing_reads_total = report.backing_reads_total,
                    .backing_wait_ns_total = report.backing_wait_ns_total};
  for (std::uint32_t i = 0; i < report.curve_points; ++i) {
    view.curve.push_back({report.curve[i].pages, report.curve[i].misses_per_million});
  }
  return view;
}

}  // namespace

void RingClients::expect(ClientId client, const std::string& name) {
  const std::uint64_t keep_ns = store_.keep_seconds_of(client) * kSecondNs;
  const std::lock_guard lock(mutex_);
  clients_[client] = {.state = State::kExpected,
                      .name = name,
                      .give_up_at_ns = clock_.now_ns() + std::max(kReturnNs, keep_ns)};
}

Result<RingHost::Admission> RingClients::admit(std::string_view name, const ring::Secret& secret) {
  const std::lock_guard lock(mutex_);
  const auto same_name = [name](const auto& entry) { return entry.second.name == name; };
  const auto found = std::find_if(clients_.begin(), clients_.end(), same_name);
  if (found == clients_.end()) {
    return add(name);
  }
  const ClientId client = found->first;
  if (found->second.state == State::kConnected) {
    return Error{ErrorCode::kExists, "a client '" + std::string(name) + "' is connected already"};
  }
  const tmem::ClientSecret ours = store_.secret_of(client);
  if (!matches(ours, secret)) {
    const std::uint64_t now_ns = clock_.now_ns();
    const std::uint64_t left_ns =
        found->second.give_up_at_ns - std::min(now_ns, found->second.give_up_at_ns);
    return Error{ErrorCode::kExists,
                 "the pages of a client '" + std::string(name) +
                     "' wait for it to come back: use another name, or try in " +
                     std::to_string(left_ns / kSecondNs + 1) + " s"};
  }
  found->second.state = State::kConnected;
  log_info("ring_client_back", {{"client", name}, {"used", store_.allowance(client).used}});
  return RingHost::Admission{client, to_ring(ours), true};
}

Result<RingHost::Admission> RingClients::add(std::string_view name) {
  const tmem::ClientSecret secret = make_secret();
  const auto client = store_.add_client(name, secret);
  if (!client) {
    return client.error();
  }
  clients_[*client] = {.state = State::kConnected, .name = std::string(name)};
  return RingHost::Admission{*client, to_ring(secret), false};
}

void RingClients::release(ClientId client, RingHost::Leaving how) {
  if (how == RingHost::Leaving::kLost && await(client)) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    clients_.erase(client);
  }
  (void)store_.remove_client(client);
}

// Whether it has asked for that.
bool RingClients::await(ClientId client) {
  const std::uint64_t seconds = store_.keep_seconds_of(client);
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(client);
  if (seconds == 0 || found == clients_.end()) {
    return false;
  }
  found->second.state = State::kExpected;
  found->second.give_up_at_ns = clock_.now_ns() + seconds * kSecondNs;
  log_info("ring_client_awaited", {{"client", found->second.name},
                                   {"seconds", seconds},
                                   {"used", store_.allowance(client).used}});
  return true;
}

void RingClients::give_up_the_lost() {
  std::vector<ClientId> lost;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t now_ns = clock_.now_ns();
    for (auto at = clients_.begin(); at != clients_.end();) {
      if (at->second.state != State::kExpected || now_ns < at->second.give_up_at_ns) {
        ++at;
        continue;
      }
      log_warning("ring_client_lost", {{"client", at->second.name},
                                       {"used", store_.allowance(at->first).used},
                                       {"detail", "it did not come back, its pages are given up"}});
      lost.push_back(at->first);
      at = clients_.erase(at);
    }
  }
  for (const ClientId client : lost) {
    (void)store_.remove_client(client);
  }
}

void RingClients::keep_report(ClientId id, const ring::MemoryReport& report) {
  const std::uint64_t now_ns = clock_.now_ns();
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(id);
  if (found == clients_.end()) {
    return;
  }
  Client& client = found->second;
  MemoryReport view = view_of(report);
  if (client.report) {
    view.interval_ns = now_ns - client.reported_at_ns;
    view.interval_faults = risen(client.report->faults_total, view.faults_total);
    view.interval_evictions = risen(client.report->evictions_total, view.evictions_total);
  }
  client.report = std::move(view);
  client.reported_at_ns = now_ns;
}

std::optional<MemoryReport> RingClients::report_of(ClientId client) const {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(client);
  if (found == clients_.end() || !found->second.report) {
    return std::nullopt;
  }
  MemoryReport report = *found->second.report;
  report.age_ns = clock_.now_ns() - found->second.reported_at_ns;
  return report;
}

std::map<ClientId, bool> RingClients::list() const {
  const std::lock_guard lock(mutex_);
  std::map<ClientId, bool> all;
  for (const auto& [client, entry] : clients_) {
    all[client] = entry.state == State::kConnected;
  }
  return all;
}

}  // namespace fallow::node
