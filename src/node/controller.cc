#include "node/controller.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/log.h"
#include "policy/outlook.h"

namespace fallow::node {
namespace {

// About 16 MiB of history, however many VMs there are.
constexpr std::size_t kHistoryRowsMax = 65'536;
constexpr std::size_t kChangesMax = 16;
constexpr std::size_t kRisesMax = 8;

bool had_operations(const tmem::ClientStatistics& client) {
  const tmem::Counters& interval = client.interval;
  return interval.puts_total + interval.gets_total + interval.flushes_total > 0;
}

std::uint64_t failed_puts(const tmem::Counters& counters) {
  // The two counters are read one after the other while puts go on.
  return counters.puts_total - std::min(counters.puts_total, counters.puts_succ);
}

// 004, Table 2.1.
policy::VmStatistics policy_statistics(const tmem::ClientStatistics& client) {
  return {.id = client.name,
          .target = client.target,
          .used = client.used,
          .puts_total = client.interval.puts_total,
          .puts_succ = client.interval.puts_succ,
          .cumul_puts_failed = failed_puts(client.total)};
}

std::string name_of(const std::string& spec) {
  return spec.substr(0, spec.find(':'));
}

TargetChange change_of(const DecisionRecord& record, std::size_t i, std::uint64_t target_before) {
  const policy::VmStatistics& vm = record.statistics.vms[i];
  return {.age_ns = record.at_ns,
          .target_before = target_before,
          .target_after = record.decisions[i].target,
          .used = vm.used,
          .puts_failed = vm.puts_total - std::min(vm.puts_total, vm.puts_succ),
          .policy = record.policy,
          .reason = record.decisions[i].reason};
}

// What every target that falls in this decision has lost to; `clients` have theirs from before it.
TargetLoss loss_in(const std::vector<tmem::ClientStatistics>& clients,
                   const DecisionRecord& record) {
  TargetLoss loss;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (record.decisions[i].target > clients[i].target) {
      loss.rises.push_back({clients[i].name, record.decisions[i].target - clients[i].target});
    }
  }
  std::stable_sort(loss.rises.begin(), loss.rises.end(),
                   [](const auto& left, const auto& right) { return left.pages > right.pages; });
  for (std::size_t i = kRisesMax; i < loss.rises.size(); ++i) {
    ++loss.others;
    loss.others_pages += loss.rises[i].pages;
  }
  loss.rises.resize(std::min(loss.rises.size(), kRisesMax));
  return loss;
}

void note_change(TargetHistory& history, const TargetChange& change, const TargetLoss& loss) {
  history.changes.insert(history.changes.begin(), change);
  history.changes.resize(std::min(history.changes.size(), kChangesMax));
  if (change.target_after < change.target_before) {
    history.last_loss = loss;
    history.last_loss->change = change;
  }
}

VmMemory memory_from(std::uint64_t now_ns) {
  VmMemory memory;
  memory.history.known_ns = now_ns;
  return memory;
}

void turn_to_ages(TargetHistory& history, std::uint64_t now_ns) {
  history.known_ns = now_ns - history.known_ns;
  for (TargetChange& change : history.changes) {
    change.age_ns = now_ns - change.age_ns;
  }
  if (history.last_loss) {
    history.last_loss->change.age_ns = now_ns - history.last_loss->change.age_ns;
  }
}

}  // namespace

Controller::Controller(FrameAccounts& accounts, const Clock& clock,
                       std::unique_ptr<policy::Policy> policy, std::size_t history_max)
    : accounts_(accounts),
      clock_(clock),
      history_max_(history_max),
      policy_(std::move(policy)),
      ticked_ns_(clock.now_ns()) {
  figures_.policy = policy_->spec();
}

void Controller::tick(const std::map<ClientId, DemandTotals>& demand) {
  const std::lock_guard lock(mutex_);
  ++figures_.intervals;
  const std::uint64_t now_ns = clock_.now_ns();
  demands_.fade(now_ns - std::exchange(ticked_ns_, now_ns));
  demands_.note_totals(demand);
  decide(Occasion::kInterval);
}

PolicySwitch Controller::set_policy(std::unique_ptr<policy::Policy> policy) {
  const std::lock_guard lock(mutex_);
  const std::string previous = policy_->spec();
  policy_ = std::move(policy);
  figures_.policy = policy_->spec();
  log_info("policy_set", {{"policy", figures_.policy}, {"previous", previous}});
  const bool another = name_of(previous) != name_of(figures_.policy);
  decide(another ? Occasion::kPolicyChanged : Occasion::kInterval);
  return {.spec = figures_.policy, .previous = previous};
}

void Controller::quotas_changed() {
  const std::lock_guard lock(mutex_);
  decide(Occasion::kQuotasChanged);
}

// The others' quotas count from the first decision on.
std::uint64_t Controller::initial_target(std::uint64_t vm_count, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  policy::NodeStatistics statistics{.total = accounts_.total_frames(), .vms = {}};
  statistics.vms.resize(std::max<std::uint64_t>(vm_count, 1));
  statistics.vms.back().quota = accounts_.quota_of(name);
  return policy_->initial_target_of(statistics, statistics.vms.size() - 1);
}

void Controller::decide(Occasion occasion) {
  latest_ = accounts_.take_interval();
  std::sort(latest_.begin(), latest_.end(),
            [](const auto& left, const auto& right) { return left.id < right.id; });
  forget_the_gone();
  for (const tmem::ClientStatistics& client : latest_) {
    demands_.note_reads(client);
  }
  const bool active = occasion != Occasion::kPolicyChanged && had_activity();
  const std::set<ClientId> clients = latest_clients();
  if (!active && occasion == Occasion::kInterval && clients == clients_decided_) {
    return;
  }
  std::set_difference(clients.begin(), clients.end(), clients_decided_.begin(),
                      clients_decided_.end(), std::inserter(fresh_, fresh_.end()));
  DecisionRecord record{.at_ns = clock_.now_ns(),
                        .policy = figures_.policy,
                        .statistics = active ? statistics_so_far() : statistics_to_start(occasion),
                        .decisions = {}};
  record.decisions =
      active ? policy_->decide(record.statistics) : policy_->start(record.statistics);
  CHECK(record.decisions.size() == latest_.size());
  ++figures_.decisions;
  clients_decided_ = clients;
  if (active) {
    fresh_.clear();
  }
  carry_out(record);
  remember(std::move(record));
}

bool Controller::had_activity() const {
  return std::any_of(latest_.begin(), latest_.end(), had_operations);
}

policy::NodeStatistics Controller::statistics_so_far() const {
  policy::NodeStatistics statistics{.total = accounts_.total_frames(), .vms = {}};
  for (const tmem::ClientStatistics& client : latest_) {
    statistics.vms.push_back(policy_statistics(client));
    statistics.vms.back().quota = accounts_.quota_of(client.name);
    statistics.vms.back().demand = demands_.of(client.id);
  }
  return statistics;
}

policy::NodeStatistics Controller::statistics_to_start(Occasion occasion) const {
  policy::NodeStatistics statistics = statistics_so_far();
  for (std::size_t i = 0; i < latest_.size(); ++i) {
    if (occasion == Occasion::kPolicyChanged || fresh_.contains(latest_[i].id)) {
      statistics.vms[i].target = policy_->initial_target_of(statistics, i);
    }
  }
  return statistics;
}

// 004, Algorithm 2, line 10: nothing is sent that has not changed.
void Controller::carry_out(const DecisionRecord& record) {
  const TargetLoss loss = loss_in(latest_, record);
  for (std::size_t i = 0; i < latest_.size(); ++i) {
    tmem::ClientStatistics& client = latest_[i];
    const policy::Decision& decision = record.decisions[i];
    VmMemory& memory = memories_.try_emplace(client.id, memory_from(record.at_ns)).first->second;
    memory.reason = decision.reason;
    memory.history.reads_saved_by_tenth =
        policy::reads_saved_by_tenth(record.statistics.vms[i], decision.target);
    if (decision.target == client.target) {
      continue;
    }
    accounts_.set_target(client.id, decision.target);
    ++figures_.target_changes;
    note_change(memory.history, change_of(record, i, client.target), loss);
    log_debug("target_set", {{"vm", client.name},
                             {"target", decision.target},
                             {"before", client.target},
                             {"reason", decision.reason}});
    client.target = decision.target;
  }
}

void Controller::remember(DecisionRecord record) {
  for (policy::VmStatistics& vm : record.statistics.vms) {
    vm.demand.curve.reset();  // large, and the reason says what came of it
  }
  history_rows_ += record.decisions.size();
  history_.push_back(std::move(record));
  while (history_.size() > history_max_ ||
         (history_rows_ > kHistoryRowsMax && history_.size() > 1)) {
    history_rows_ -= history_.front().decisions.size();
    history_.pop_front();
  }
}

void Controller::forget_the_gone() {
  const std::set<ClientId> here = latest_clients();
  std::erase_if(memories_, [&](const auto& entry) { return !here.contains(entry.first); });
  demands_.forget_all_but(here);
  std::erase_if(fresh_, [&](ClientId client) { return !here.contains(client); });
}

std::set<ClientId> Controller::latest_clients() const {
  std::set<ClientId> clients;
  for (const tmem::ClientStatistics& client : latest_) {
    clients.insert(client.id);
  }
  return clients;
}

ControllerFigures Controller::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

VmMemory Controller::recall(ClientId vm) const {
  const std::lock_guard lock(mutex_);
  VmMemory memory;
  if (const auto found = memories_.find(vm); found != memories_.end()) {
    memory = found->second;
    turn_to_ages(memory.history, clock_.now_ns());
  }
  for (const tmem::ClientStatistics& client : latest_) {
    if (client.id == vm) {
      memory.interval = client.interval;
    }
  }
  return memory;
}

std::vector<DecisionRecord> Controller::history() const {
  const std::lock_guard lock(mutex_);
  return {history_.begin(), history_.end()};
}

}  // namespace fallow::node
