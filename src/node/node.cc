#include "node/node.h"

#include <grp.h>

#include <array>
#include <filesystem>

#include "base/log.h"
#include "node/explain.h"
#include "node/vm_rules.h"

namespace fallow::node {
namespace {

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return failed_errno("cannot make folder '" + path + "'", error.value());
  }
  return {};
}

Result<std::optional<gid_t>> find_group(const std::string& name) {
  if (name.empty()) {
    return std::optional<gid_t>();
  }
  group entry{};
  group* found = nullptr;
  std::array<char, 16384> buffer;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return invalid("[device] socket_group: this host has no group '" + name + "'");
  }
  return std::optional<gid_t>(found->gr_gid);
}

std::string socket_folder(const Config& config) {
  return config.run_dir + "/vm";
}

Error no_such_vm(const std::string& name) {
  return {ErrorCode::kNotFound, "no VM is called '" + name + "': see fallow vm list"};
}

PolicyView view_of(const policy::PolicyDescription& policy) {
  return {.name = policy.name, .summary = policy.summary, .settings = policy.settings};
}

void show_counts(const DeviceStatistics& device, VmView& view) {
  view.backing_pages = device.backing_pages;
  view.memory_reads = device.memory_reads;
  view.backing_reads = device.backing_reads;
  view.hole_reads = device.hole_reads;
  view.memory_writes = device.memory_writes;
  view.backing_writes = device.backing_writes;
  view.io_errors = device.io_errors;
}

void show_latency(const tmem::LatencySnapshot& latency, VmView& view) {
  view.put_p50_ns = latency.put_ns.quantile(0.5);
  view.put_p99_ns = latency.put_ns.quantile(0.99);
  view.get_p50_ns = latency.get_ns.quantile(0.5);
  view.get_p99_ns = latency.get_ns.quantile(0.99);
}

}  // namespace

class Node::StoreAccounts final : public FrameAccounts {
 public:
  explicit StoreAccounts(tmem::Store& store) : store_(store) {}
  [[nodiscard]] std::uint64_t total_frames() const override { return store_.total_frames(); }
  [[nodiscard]] std::vector<tmem::ClientStatistics> take_interval() override {
    return store_.take_interval();
  }
  void set_target(ClientId client, std::uint64_t pages) override {
    store_.set_target(client, pages);
  }

 private:
  tmem::Store& store_;
};

Node::Node(const Config& config, const Clock& clock, memory::Arena arena)
    : config_(config), clock_(clock), started_ns_(clock.now_ns()), arena_(std::move(arena)) {}

Result<std::unique_ptr<Node>> Node::create(const Config& config, const Clock& clock) {
  for (const std::string& folder : {config.run_dir, socket_folder(config), config.backing_dir}) {
    FALLOW_TRY(make_folder(folder));
  }
  const Result<std::optional<gid_t>> group = find_group(config.socket_group);
  FALLOW_TRY(group);
  auto policy = policy::make_policy(config.policy_spec);
  if (!policy) {
    return policy.error();
  }
  auto arena = memory::Arena::open({.directory = config.arena_dir, .bytes = config.memory_bytes});
  if (!arena) {
    return arena.error();
  }
  std::unique_ptr<Node> node(new Node(config, clock, *std::move(arena)));
  node->socket_group_ = *group;
  auto store = tmem::Store::create(node->arena_, clock);
  if (!store) {
    return store.error();
  }
  node->store_ = *std::move(store);
  node->accounts_ = std::make_unique<StoreAccounts>(*node->store_);
  node->controller_ =
      std::make_unique<Controller>(*node->accounts_, clock, *std::move(policy), config.history);
  return node;
}

Status Node::start() {
  for (const VmRequest& vm : config_.vms) {
    const Result<VmView> added = add_vm(vm);
    if (!added) {
      return Error{added.error().code, "VM '" + vm.name + "': " + added.error().text};
    }
  }
  auto thread = IntervalThread::start(config_.interval_ns, [this] { controller_->tick(); });
  if (!thread) {
    return thread.error();
  }
  interval_thread_ = *std::move(thread);
  log_info("node_started", {{"epoch", arena_.epoch().value},
                            {"frames", store_->total_frames()},
                            {"memory", arena_.backing()},
                            {"policy", controller_->figures().policy},
                            {"vms", config_.vms.size()}});
  return {};
}

Node::~Node() {
  interval_thread_.reset();
  const std::lock_guard changes(changes_mutex_);
  vms_.clear();
}

VmOptions Node::options_for(const VmRequest& request) const {
  const bool own = request.backing_path.empty();
  using Origin = BackingOptions::Origin;
  using Content = BackingOptions::Content;
  return {.name = request.name,
          .size_bytes = request.size_bytes,
          .socket_path = socket_folder(config_) + "/" + request.name + ".sock",
          .socket_group = socket_group_,
          .backing = {.path = own ? config_.backing_dir + "/" + request.name + ".img"
                                  : request.backing_path,
                      .size_bytes = request.size_bytes,
                      .origin = own ? Origin::kCreate : Origin::kUse,
                      .content = request.discard_backing ? Content::kDiscard : Content::kKeep},
          .block_size = config_.block_size,
          .demotion_pages_per_second = config_.demotion_pages_per_second};
}

Result<VmView> Node::add_vm(const VmRequest& request) {
  FALLOW_TRY(check_vm_request(request));
  const std::lock_guard changes(changes_mutex_);
  std::size_t count = 0;
  {
    const std::lock_guard lock(vms_mutex_);
    count = vms_.size() + 1;
    if (vms_.contains(request.name)) {
      return Error{ErrorCode::kExists, "there already is a VM '" + request.name +
                                           "': choose another name, or remove it first"};
    }
  }
  if (count > kVmsMax) {
    return failed("there are " + std::to_string(kVmsMax) + " VMs already, as many as there can be");
  }
  auto vm = VmExport::create(*store_, clock_, options_for(request));
  if (!vm) {
    return vm.error();
  }
  store_->set_target((*vm)->client(), controller_->initial_target(count));
  log_info("vm_added", {{"vm", request.name},
                        {"size", request.size_bytes},
                        {"socket", (*vm)->options().socket_path},
                        {"backing", (*vm)->options().backing.path}});
  const std::lock_guard lock(vms_mutex_);
  vms_[request.name] = *std::move(vm);
  return show_locked(request.name);
}

Status Node::remove_vm(const std::string& name, RemoveMode mode) {
  const std::lock_guard changes(changes_mutex_);
  std::unique_ptr<VmExport> gone;
  {
    const std::lock_guard lock(vms_mutex_);
    const auto found = vms_.find(name);
    if (found == vms_.end()) {
      return no_such_vm(name);
    }
    if (mode == RemoveMode::kIfIdle && found->second->connected()) {
      return failed("VM '" + name +
                    "' is connected: shut it down or detach its disk first, or pass --force");
    }
    gone = std::move(found->second);
    vms_.erase(found);
  }
  gone.reset();
  log_info("vm_removed", {{"vm", name}});
  return {};
}

VmView Node::view_of(const VmExport& vm, const tmem::ClientStatistics& client) const {
  const VmMemory memory = controller_->recall(vm.client());
  const VmOptions& options = vm.options();
  VmView view{.name = options.name,
              .size_bytes = options.size_bytes,
              .block_size = options.block_size,
              .socket_path = options.socket_path,
              .backing_path = options.backing.path,
              .connected = vm.connected(),
              .used = client.used,
              .target = client.target,
              .patterns = client.patterns,
              .demotion_pages_per_second = options.demotion_pages_per_second,
              .total = client.total,
              .interval = memory.interval,
              .reason = memory.reason};
  show_counts(vm.device_statistics(), view);
  show_latency(store_->latency(vm.client()), view);
  return view;
}

Result<VmView> Node::show_locked(const std::string& name) const {
  const auto found = vms_.find(name);
  if (found == vms_.end()) {
    return no_such_vm(name);
  }
  for (const tmem::ClientStatistics& client : store_->statistics()) {
    if (client.id == found->second->client()) {
      return view_of(*found->second, client);
    }
  }
  return no_such_vm(name);
}

Result<VmView> Node::show_vm(const std::string& name) const {
  const std::lock_guard lock(vms_mutex_);
  return show_locked(name);
}

Result<Explanation> Node::explain_vm(const std::string& name) const {
  const std::lock_guard lock(vms_mutex_);
  const Result<VmView> vm = show_locked(name);
  FALLOW_TRY(vm);
  const VmMemory memory = controller_->recall(vms_.find(name)->second->client());
  const NodeView node = status_locked(store_->statistics());
  return Explanation{.vm = *vm,
                     .policy = node.policy,
                     .findings = explain(*vm, node, memory.changes),
                     .changes = memory.changes};
}

NodeView Node::status_locked(const std::vector<tmem::ClientStatistics>& clients) const {
  const ControllerFigures figures = controller_->figures();
  NodeView view{.version = FALLOW_VERSION,
                .epoch = arena_.epoch().value,
                .uptime_ns = clock_.now_ns() - started_ns_,
                .frames_total = store_->total_frames(),
                .frames_free = store_->free_frames(),
                .interval_ns = config_.interval_ns,
                .policy = figures.policy,
                .intervals = figures.intervals,
                .decisions = figures.decisions,
                .target_changes = figures.target_changes,
                .vm_count = vms_.size()};
  for (const tmem::ClientStatistics& client : clients) {
    view.patterns += client.patterns;
  }
  return view;
}

NodeView Node::status() const {
  const std::lock_guard lock(vms_mutex_);
  return status_locked(store_->statistics());
}

NodeSnapshot Node::list_vms() const {
  const std::lock_guard lock(vms_mutex_);
  const std::vector<tmem::ClientStatistics> clients = store_->statistics();
  NodeSnapshot snapshot{.node = status_locked(clients), .vms = {}};
  std::map<ClientId, const tmem::ClientStatistics*> by_id;
  for (const tmem::ClientStatistics& client : clients) {
    by_id[client.id] = &client;
  }
  for (const auto& [name, vm] : vms_) {
    const auto found = by_id.find(vm->client());
    if (found != by_id.end()) {
      snapshot.vms.push_back(view_of(*vm, *found->second));
    }
  }
  return snapshot;
}

std::vector<VmLatency> Node::latencies() const {
  const std::lock_guard lock(vms_mutex_);
  std::vector<VmLatency> all;
  for (const auto& [name, vm] : vms_) {
    all.push_back({name, store_->latency(vm->client())});
  }
  return all;
}

CurrentPolicy Node::show_policy() const {
  const std::string spec = controller_->figures().policy;
  for (const policy::PolicyDescription& policy : policy::known_policies()) {
    if (policy.name == spec.substr(0, spec.find(':'))) {
      return {.spec = spec, .policy = node::view_of(policy)};
    }
  }
  return {.spec = spec};
}

std::vector<PolicyView> Node::list_policies() const {
  std::vector<PolicyView> all;
  for (const policy::PolicyDescription& policy : policy::known_policies()) {
    all.push_back(node::view_of(policy));
  }
  return all;
}

Result<PolicySwitch> Node::set_policy(const std::string& spec) {
  auto policy = policy::make_policy(spec);
  if (!policy) {
    return policy.error();
  }
  return controller_->set_policy(*std::move(policy));
}

}  // namespace fallow::node
