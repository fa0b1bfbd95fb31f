// One host's node: owns the frames, the page store, the controller and the VMs, and answers what
// the control service asks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/listeners.h"
#include "frontend/ring/ring_server.h"
#include "memory/arena.h"
#include "node/balancer.h"
#include "node/config.h"
#include "node/controller.h"
#include "node/interval_thread.h"
#include "node/operations.h"
#include "node/quotas.h"
#include "node/ring_clients.h"
#include "node/vm_export.h"
#include "node/vm_record.h"
#include "node/workers.h"
#include "tmem/store.h"

namespace fallow::node {

// One VM's times, for the metrics.
struct VmLatency {
  std::string name;
  tmem::LatencySnapshot latency;
};

// Any thread, but for create(), start() and the end.
class Node final : public Operations {
 public:
  // Frames and store, no VMs yet. `clock` and `listeners`, which the VMs' sockets and the ring's
  // come from, must outlive the node.
  static Result<std::unique_ptr<Node>> create(const Config& config, const Clock& clock,
                                              Listeners& listeners = Listeners::plain());
  // Brings the VMs of a life before back, adds those of the configuration that are new, and starts
  // the controller. A VM that cannot be brought back is told and left as it is; one of the
  // configuration that cannot be added is an error.
  Status start();
  // VMs that hold pages or are connected are left for the next life; the others go.
  ~Node() override;

  [[nodiscard]] NodeView status() const override;
  [[nodiscard]] NodeSnapshot list_vms() const override;
  [[nodiscard]] Result<VmView> show_vm(const std::string& name) const override;
  [[nodiscard]] Result<Explanation> explain_vm(const std::string& name) const override;
  [[nodiscard]] Result<VmView> add_vm(const VmRequest& request) override;
  [[nodiscard]] Status remove_vm(const std::string& name, RemoveMode mode) override;
  [[nodiscard]] Result<VmView> resize_vm(const std::string& name,
                                         std::uint64_t size_bytes) override;

  [[nodiscard]] Result<QuotaView> set_quota(const std::string& name,
                                            const QuotaRequest& change) override;
  [[nodiscard]] Status clear_quota(const std::string& name) override;
  [[nodiscard]] std::vector<QuotaView> list_quotas() const override;

  [[nodiscard]] Result<std::unique_ptr<RecordingSource>> record() override;

  [[nodiscard]] CurrentPolicy show_policy() const override;
  [[nodiscard]] std::vector<PolicyView> list_policies() const override;
  [[nodiscard]] Result<PolicySwitch> set_policy(const std::string& spec) override;

  [[nodiscard]] std::vector<VmLatency> latencies() const;

  // Has another worker serve the VM, from some moment soon on. The node does it by itself, too.
  Status move_vm(const std::string& name, unsigned worker);

 private:
  class StoreAccounts;
  class Recording;
  class RingDoor;
  using Vms = std::map<std::string, std::unique_ptr<VmExport>>;

  Node(const Config& config, const Clock& clock, Listeners& listeners, memory::Arena arena);
  [[nodiscard]] VmHost host() { return {*store_, clock_, *workers_, listeners_}; }
  [[nodiscard]] VmOptions options_for(const VmRecord& record) const;
  [[nodiscard]] unsigned worker_for_another() const;
  void balance_workers();
  [[nodiscard]] std::map<ClientId, DemandTotals> demands() const;
  [[nodiscard]] std::vector<recording::ClientNote> client_notes() const;
  void restore_vms();
  void restore_vm(const std::string& map_path);
  void remove_half_made_clients();
  Status add_configured_vms();
  Status open_ring_door();
  [[nodiscard]] Status attach_disk(const std::string& vm, ring::Connection& connection);
  Status remove_stranded(const std::string& name);
  void give_first_target(ClientId client, const std::string& name, std::uint64_t count);
  Status set_configured_quotas();
  void restore_quota(const VmRequest& request);
  [[nodiscard]] QuotaRequest quota_to_keep(const std::string& name) const;
  Status keep_quota(const std::string& name);
  Status change_quota(const std::string& name, const std::function<Status()>& change);
  [[nodiscard]] QuotaView view_of(const std::string& name, const Quotas::Entry& entry,
                                  const std::set<std::string>& present) const;
  [[nodiscard]] std::set<std::string> present_names() const;
  [[nodiscard]] VmView view_of(const VmExport& vm, const tmem::ClientStatistics& client) const;
  [[nodiscard]] ClientView view_of(const tmem::ClientStatistics& client, bool connected) const;
  [[nodiscard]] NodeView status_locked(const std::vector<tmem::ClientStatistics>& clients) const;
  [[nodiscard]] Result<VmView> show_locked(const std::string& name) const;
  [[nodiscard]] std::optional<Explanation> explain_client(
      const std::string& name, const NodeView& node,
      const std::vector<tmem::ClientStatistics>& clients) const;

  const Config config_;
  const Clock& clock_;
  Listeners& listeners_;
  const std::uint64_t started_ns_;
  std::optional<gid_t> socket_group_;
  std::optional<gid_t> ring_socket_group_;
  memory::Arena arena_;
  std::unique_ptr<tmem::Store> store_;
  std::unique_ptr<Quotas> quotas_;
  std::unique_ptr<StoreAccounts> accounts_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<Workers> workers_;
  LoadAverages loads_;  // the interval thread's

  std::mutex changes_mutex_;  // one VM comes or goes at a time; taken before vms_mutex_
  // VMs of a life before that could not be brought back, and why. Guarded by changes_mutex_.
  std::map<std::string, std::string> stranded_;
  mutable std::mutex vms_mutex_;
  Vms vms_;  // guarded by vms_mutex_, never held while a VM is made or unmade
  std::unique_ptr<RingClients> ring_clients_;
  std::unique_ptr<RingDoor> ring_door_;
  std::unique_ptr<RingServer> ring_server_;
  std::unique_ptr<IntervalThread> interval_thread_;
};

}  // namespace fallow::node
