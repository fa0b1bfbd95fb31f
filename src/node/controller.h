// The controller: every interval it takes the statistics, asks the policy and carries out those
// targets that changed. When nothing happened it does nothing: 004 (§2.2.2) starts an interval's
// transmission only once an operation has taken place.
//
// It never touches a page and holds no thread: IntervalThread calls tick(), tests do it by hand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "node/demands.h"
#include "node/views.h"
#include "policy/policy.h"
#include "tmem/store.h"

namespace fallow::node {

// What is steered: the page store, or a fake in tests. Any thread.
class FrameAccounts {
 public:
  virtual ~FrameAccounts() = default;
  [[nodiscard]] virtual std::uint64_t total_frames() const = 0;
  // Every client's figures; starts the next interval.
  [[nodiscard]] virtual std::vector<tmem::ClientStatistics> take_interval() = 0;
  // Nothing when the client has gone meanwhile.
  virtual void set_target(ClientId client, std::uint64_t pages) = 0;
  // What a client of that name is granted.
  [[nodiscard]] virtual policy::Quota quota_of(const std::string& /*name*/) const { return {}; }
};

// One time that the policy was asked.
struct DecisionRecord {
  std::uint64_t at_ns = 0;
  std::string policy{};
  policy::NodeStatistics statistics{};
  std::vector<policy::Decision> decisions{};  // one for each VM of the statistics, in their order
};

struct ControllerFigures {
  std::string policy{};
  std::uint64_t intervals = 0;
  std::uint64_t decisions = 0;
  std::uint64_t target_changes = 0;
};

// What the controller knows of one VM beyond the store's figures.
struct VmMemory {
  tmem::Counters interval{};  // of the last full interval
  std::string reason{};       // of the last decision; empty before the first
  TargetHistory history{};
};

// Any thread.
class Controller {
 public:
  // At most `history_max` decisions are remembered, and fewer when there are very many VMs.
  Controller(FrameAccounts& accounts, const Clock& clock, std::unique_ptr<policy::Policy> policy,
             std::size_t history_max);

  // The end of an interval. `demand`: of the clients of which anything is known.
  void tick(const std::map<ClientId, DemandTotals>& demand = {});

  // Takes effect at once. A policy of another name starts from its own initial targets; the same
  // one with other settings goes on from the targets that it has reached.
  PolicySwitch set_policy(std::unique_ptr<policy::Policy> policy);

  // Somebody's quota is another one: takes effect at once.
  void quotas_changed();

  // For a VM that has just come and is the last of `vm_count`. Its quota is its name's.
  [[nodiscard]] std::uint64_t initial_target(std::uint64_t vm_count,
                                             const std::string& name = {}) const;

  [[nodiscard]] ControllerFigures figures() const;
  [[nodiscard]] VmMemory recall(ClientId vm) const;
  // The latest last.
  [[nodiscard]] std::vector<DecisionRecord> history() const;

 private:
  enum class Occasion { kInterval, kPolicyChanged, kQuotasChanged };

  void decide(Occasion occasion);
  [[nodiscard]] bool had_activity() const;
  [[nodiscard]] policy::NodeStatistics statistics_so_far() const;
  [[nodiscard]] policy::NodeStatistics statistics_to_start(Occasion occasion) const;
  void carry_out(const DecisionRecord& record);
  void remember(DecisionRecord record);
  void forget_the_gone();
  [[nodiscard]] std::set<ClientId> latest_clients() const;

  FrameAccounts& accounts_;
  const Clock& clock_;
  const std::size_t history_max_;

  mutable std::mutex mutex_;  // guards what follows
  std::unique_ptr<policy::Policy> policy_;
  std::vector<tmem::ClientStatistics> latest_;  // by client id: in the order of their coming
  Demands demands_;
  std::uint64_t ticked_ns_;             // the last time
  std::set<ClientId> clients_decided_;  // that the last decision was about
  // Came since the last decision that had activity to judge by. Their initial targets follow the
  // number of VMs, so that VMs which come one after the other start with equal shares.
  std::set<ClientId> fresh_;
  std::deque<DecisionRecord> history_;
  std::size_t history_rows_ = 0;  // VMs in all records of history_
  // What recall() tells, with moments in the place of ages; the VMs of latest_ only. Kept
  // apart from history_, which a busy node turns over within minutes.
  std::map<ClientId, VmMemory> memories_;
  ControllerFigures figures_;
};

}  // namespace fallow::node
