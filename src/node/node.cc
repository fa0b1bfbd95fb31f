#include "node/node.h"

#include <grp.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "node/explain.h"
#include "node/quota_rules.h"
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
    return invalid("socket_group: this host has no group '" + name + "'");
  }
  return std::optional<gid_t>(found->gr_gid);
}

// Of the map of a VM's device: before the VM's name, behind the arena's.
const std::string kMapSuffix = ".disk.";

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
  view.lost_pages = device.lost_pages;
}

std::uint64_t pages_met(const DeviceStatistics& device) {
  return device.memory_reads + device.backing_reads + device.hole_reads + device.memory_writes +
         device.backing_writes;
}

void show_latency(const tmem::LatencySnapshot& latency, VmView& view) {
  view.put_p50_ns = latency.put_ns.quantile(0.5);
  view.put_p99_ns = latency.put_ns.quantile(0.99);
  view.get_p50_ns = latency.get_ns.quantile(0.5);
  view.get_p99_ns = latency.get_ns.quantile(0.99);
}

ring::Secret make_identity() {
  ring::Secret identity{};
  CHECK(::getrandom(identity.words, sizeof identity.words, 0) == sizeof identity.words);
  return identity;
}

}  // namespace

class Node::StoreAccounts final : public FrameAccounts {
 public:
  StoreAccounts(tmem::Store& store, const Quotas& quotas) : store_(store), quotas_(quotas) {}
  [[nodiscard]] std::uint64_t total_frames() const override { return store_.total_frames(); }
  [[nodiscard]] std::vector<tmem::ClientStatistics> take_interval() override {
    return store_.take_interval();
  }
  void set_target(ClientId client, std::uint64_t pages) override {
    store_.set_target(client, pages);
  }
  [[nodiscard]] policy::Quota quota_of(const std::string& name) const override {
    return quotas_.of(name);
  }

 private:
  tmem::Store& store_;
  const Quotas& quotas_;
};

// What comes through the ring socket. On the ring server's thread.
class Node::RingDoor final : public RingHost {
 public:
  explicit RingDoor(Node& node) : node_(node) {}

  Result<Admission> admit_pages(std::string_view name, const ring::Secret& secret,
                                uid_t uid) override {
    const auto admission = node_.ring_clients_->admit(name, secret);
    if (admission && !admission->resumed) {
      node_.give_first_target(admission->client, std::string(name),
                              node_.store_->statistics().size());
      log_info("ring_client_added", {{"client", name}, {"uid", uid}});
    }
    return admission;
  }
  void release_pages(ClientId client, Leaving how) override {
    node_.ring_clients_->release(client, how);
  }
  void keep_report(ClientId client, const ring::MemoryReport& report) override {
    node_.ring_clients_->keep_report(client, report);
  }
  Status attach_disk(std::string_view vm, ring::Connection& connection) override {
    return node_.attach_disk(std::string(vm), connection);
  }

 private:
  Node& node_;
};

Node::Node(const Config& config, const Clock& clock, Listeners& listeners, memory::Arena arena)
    : config_(config),
      clock_(clock),
      listeners_(listeners),
      started_ns_(clock.now_ns()),
      arena_(std::move(arena)) {}

Result<std::unique_ptr<Node>> Node::create(const Config& config, const Clock& clock,
                                           Listeners& listeners) {
  for (const std::string& folder : {config.run_dir, socket_folder(config), config.backing_dir}) {
    FALLOW_TRY(make_folder(folder));
  }
  const Result<std::optional<gid_t>> group = find_group(config.socket_group);
  FALLOW_TRY(group);
  const Result<std::optional<gid_t>> ring_group = find_group(config.ring_socket_group);
  FALLOW_TRY(ring_group);
  auto policy = policy::make_policy(config.policy_spec);
  if (!policy) {
    return policy.error();
  }
  auto arena =
      memory::Arena::open({.directory = config.arena_dir,
                           .bytes = config.memory_bytes,
                           .compressed_pages_per_frame = config.compressed_pages_per_frame,
                           .content = config.discard_pages ? memory::ArenaOptions::Content::kDiscard
                                                           : memory::ArenaOptions::Content::kKeep});
  if (!arena) {
    return arena.error();
  }
  std::unique_ptr<Node> node(new Node(config, clock, listeners, *std::move(arena)));
  node->socket_group_ = *group;
  node->ring_socket_group_ = *ring_group;
  auto store = tmem::Store::create(node->arena_, clock);
  if (!store) {
    return store.error();
  }
  node->store_ = *std::move(store);
  auto workers = Workers::start(config.workers);
  if (!workers) {
    return workers.error();
  }
  node->workers_ = *std::move(workers);
  node->ring_clients_ = std::make_unique<RingClients>(*node->store_, clock);
  node->quotas_ = std::make_unique<Quotas>(node->store_->total_frames());
  FALLOW_TRY(node->set_configured_quotas());
  node->accounts_ = std::make_unique<StoreAccounts>(*node->store_, *node->quotas_);
  node->controller_ =
      std::make_unique<Controller>(*node->accounts_, clock, *std::move(policy), config.history);
  return node;
}

Status Node::start() {
  restore_vms();
  FALLOW_TRY(add_configured_vms());
  FALLOW_TRY(open_ring_door());
  auto thread = IntervalThread::start(config_.interval_ns, [this] {
    controller_->tick(demands());
    ring_clients_->give_up_the_lost();
    balance_workers();
  });
  if (!thread) {
    return thread.error();
  }
  interval_thread_ = *std::move(thread);
  log_info("node_started", {{"epoch", arena_.epoch().value},
                            {"frames", store_->total_frames()},
                            {"memory", arena_.backing()},
                            {"policy", controller_->figures().policy},
                            {"vms", vms_.size()}});
  return {};
}

// A life before left the maps of its VMs' devices beside the arena.
void Node::restore_vms() {
  if (arena_.recovered()) {
    const tmem::RecoveryReport& report = store_->recovery();
    log_info("pages_recovered", {{"pages", report.pages},
                                 {"compressed", report.compressed},
                                 {"patterns", report.patterns},
                                 {"lost", report.lost},
                                 {"unfinished", report.unfinished},
                                 {"ms", report.elapsed_ns / 1'000'000}});
  }
  const std::filesystem::path prefix = arena_.path_of(kMapSuffix);
  std::vector<std::string> maps;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path(), error)) {
    const std::string path = entry.path();
    if (!path.starts_with(prefix.string())) {
      continue;
    }
    if (!arena_.recovered() || path.ends_with(LocationMap::kUnfinishedSuffix)) {
      std::filesystem::remove(path, error);  // nothing of it is left, or it never was whole
    } else {
      maps.push_back(path);
    }
  }
  std::sort(maps.begin(), maps.end());
  const std::lock_guard changes(changes_mutex_);
  for (const std::string& path : maps) {
    restore_vm(path);
  }
  remove_half_made_clients();
}

void Node::restore_vm(const std::string& map_path) {
  const std::string name = map_path.substr(arena_.path_of(kMapSuffix).size());
  const auto strand = [&](const Error& error) {
    log_error("vm_not_restored", {{"vm", name}, {"error", error.text}});
    stranded_[name] = error.text;
  };
  auto map = LocationMap::open(map_path);
  if (!map) {
    return strand(map.error());
  }
  const auto record = read_vm_record(map->description());
  if (!record || record->request.name != name) {
    return strand(record ? failed("its map describes another VM") : record.error());
  }
  auto vm = VmExport::restore(host(), options_for(*record), std::move(*map));
  if (!vm) {
    return strand(vm.error());
  }
  const DeviceStatistics device = (*vm)->device_statistics();
  log_info("vm_restored", {{"vm", name},
                           {"used", store_->allowance((*vm)->client()).used},
                           {"backing_pages", device.backing_pages},
                           {"lost_pages", device.lost_pages}});
  restore_quota(record->request);
  const std::lock_guard lock(vms_mutex_);
  vms_[name] = *std::move(vm);
}

// A daemon that was killed while it added or removed a VM leaves a client without a map. One with a
// secret came over a ring, and may come back.
void Node::remove_half_made_clients() {
  for (const tmem::ClientStatistics& client : store_->statistics()) {
    if (vms_.contains(client.name) || stranded_.contains(client.name)) {
      continue;
    }
    if (store_->secret_of(client.id) != tmem::ClientSecret{}) {
      ring_clients_->expect(client.id, client.name);
    } else {
      log_info("half_made_client_removed", {{"client", client.name}});
      (void)store_->remove_client(client.id);
    }
  }
}

Status Node::open_ring_door() {
  if (config_.ring_socket.empty()) {
    return {};
  }
  ring_door_ = std::make_unique<RingDoor>(*this);
  auto server = RingServer::create(*ring_door_, *store_, clock_,
                                   {.socket_path = config_.ring_socket,
                                    .socket_group = ring_socket_group_,
                                    .workers = config_.ring_workers,
                                    .epoch = arena_.epoch(),
                                    .limits = {},
                                    .listeners = &listeners_});
  if (!server) {
    return server.error();
  }
  ring_server_ = *std::move(server);
  return {};
}

Status Node::attach_disk(const std::string& vm, ring::Connection& connection) {
  const std::lock_guard lock(vms_mutex_);
  const auto found = vms_.find(vm);
  if (found == vms_.end()) {
    return no_such_vm(vm);
  }
  if (found->second->connected()) {
    return Error{ErrorCode::kExists, "the disk of '" + vm + "' is in use by a VM"};
  }
  found->second->attach(std::move(connection));
  return {};
}

Status Node::add_configured_vms() {
  for (const VmRequest& wanted : config_.vms) {
    if (stranded_.contains(wanted.name)) {
      continue;
    }
    if (const auto there = vms_.find(wanted.name); there != vms_.end()) {
      const VmOptions options = there->second->options();
      if (options.size_bytes != wanted.size_bytes || options.compression != wanted.compression ||
          options.backing.path != options_for({wanted, options.block_size, {}}).backing.path) {
        log_warning("vm_differs_from_the_configuration",
                    {{"vm", wanted.name},
                     {"size", options.size_bytes},
                     {"backing", options.backing.path},
                     {"compress", compression_name(options.compression)},
                     {"detail", "it goes on as it was: it holds pages"}});
      }
      continue;
    }
    VmRequest request = wanted;
    request.quota = {};  // the file's are set already, and are the file's to change
    if (const Result<VmView> added = add_vm(request); !added) {
      return Error{added.error().code, "VM '" + wanted.name + "': " + added.error().text};
    }
  }
  return {};
}

Node::~Node() {
  interval_thread_.reset();
  ring_server_.reset();  // its clients' pages stay for the next life
  const std::lock_guard changes(changes_mutex_);
  for (const auto& [name, vm] : vms_) {
    vm->keep_if_used();
  }
  vms_.clear();
}

VmOptions Node::options_for(const VmRecord& record) const {
  const VmRequest& request = record.request;
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
          .backing_speed = config_.backing_speed,
          .block_size = record.block_size,
          .demotion_pages_per_second = config_.demotion_pages_per_second,
          .compression = request.compression,
          .map_path = arena_.path_of(kMapSuffix + request.name),
          .description = describe(record),
          .identity = record.identity,
          .worker = worker_for_another()};
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
  if (const auto found = stranded_.find(request.name); found != stranded_.end()) {
    return Error{ErrorCode::kExists,
                 "the pages of a VM '" + request.name + "' are still held, which could not be" +
                     " brought back: " + found->second + ". Mend that and start the daemon again," +
                     " or give the pages up: fallow vm remove " + request.name};
  }
  if (count > kVmsMax) {
    return failed("there are " + std::to_string(kVmsMax) + " VMs already, as many as there can be");
  }
  const std::optional<Quotas::Entry> quota_before = quotas_->find(request.name);
  if (!says_nothing(request.quota)) {
    FALLOW_TRY(quotas_->set(request.name, request.quota, Quotas::Origin::kCommand));
  }
  VmRecord record{request, config_.block_size, make_identity()};
  record.request.quota = quota_to_keep(request.name);
  auto vm = VmExport::create(host(), options_for(record));
  if (!vm) {
    quotas_->put_back(request.name, quota_before);
    return vm.error();
  }
  give_first_target((*vm)->client(), request.name, count);
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
  if (stranded_.contains(name)) {
    return remove_stranded(name);
  }
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
  if (const auto quota = quotas_->find(name); quota && !quota->from_file) {
    (void)quotas_->clear(name);
  }
  log_info("vm_removed", {{"vm", name}});
  return {};
}

Result<VmView> Node::resize_vm(const std::string& name, std::uint64_t size_bytes) {
  FALLOW_TRY(check_vm_size(size_bytes));
  const std::lock_guard changes(changes_mutex_);
  const auto found = vms_.find(name);  // nobody else changes it meanwhile
  if (found == vms_.end()) {
    return no_such_vm(name);
  }
  VmExport& vm = *found->second;
  auto record = read_vm_record(vm.options().description);
  FALLOW_TRY(record);
  record->request.size_bytes = size_bytes;
  FALLOW_TRY(vm.grow(size_bytes, describe(*record)));
  log_info("vm_resized", {{"vm", name}, {"size", size_bytes}});
  const std::lock_guard lock(vms_mutex_);
  return show_locked(name);
}

unsigned Node::worker_for_another() const {
  const std::lock_guard lock(vms_mutex_);
  std::vector<unsigned> taken;
  for (const auto& [name, vm] : vms_) {
    taken.push_back(vm->worker());
  }
  return least_crowded(taken, workers_->count());
}

Status Node::move_vm(const std::string& name, unsigned worker) {
  const std::lock_guard lock(vms_mutex_);
  const auto found = vms_.find(name);
  if (found == vms_.end()) {
    return no_such_vm(name);
  }
  if (worker >= workers_->count()) {
    return invalid("there are workers 0 to " + std::to_string(workers_->count() - 1) + ", not " +
                   std::to_string(worker));
  }
  found->second->move_to(worker);
  return {};
}

void Node::balance_workers() {
  const std::lock_guard lock(vms_mutex_);
  std::vector<LoadAverages::Count> counts;
  for (const auto& [name, vm] : vms_) {
    counts.push_back({vm->client(), vm->worker(), pages_met(vm->device_statistics())});
  }
  const auto move = choose_move(loads_.update(clock_.now_ns(), counts), workers_->count());
  for (const auto& [name, vm] : vms_) {
    if (move && vm->client() == move->vm) {
      log_info("vm_moved", {{"vm", name}, {"from", vm->worker()}, {"to", move->to}});
      vm->move_to(move->to);
    }
  }
}

Status Node::remove_stranded(const std::string& name) {
  std::error_code error;
  std::filesystem::remove(arena_.path_of(kMapSuffix + name), error);
  if (const auto client = store_->find_client(name)) {
    FALLOW_TRY(store_->remove_client(*client));
  }
  stranded_.erase(name);
  log_info("vm_removed", {{"vm", name}});
  return {};
}

VmView Node::view_of(const VmExport& vm, const tmem::ClientStatistics& client) const {
  const VmMemory memory = controller_->recall(vm.client());
  const VmOptions options = vm.options();
  VmView view{.name = options.name,
              .size_bytes = options.size_bytes,
              .block_size = options.block_size,
              .socket_path = options.socket_path,
              .backing_path = options.backing.path,
              .connected = vm.connected(),
              .used = client.used,
              .target = client.target,
              .patterns = client.patterns,
              .compression = client.compression,
              .compressed_pages = client.compressed_pages,
              .compressed_bytes = client.compressed_bytes,
              .demotion_pages_per_second = options.demotion_pages_per_second,
              .total = client.total,
              .interval = memory.interval,
              .reason = memory.reason,
              .worker = vm.worker(),
              .quota = quotas_->of(options.name)};
  show_counts(vm.device_statistics(), view);
  show_latency(store_->latency(vm.client()), view);
  return view;
}

ClientView Node::view_of(const tmem::ClientStatistics& client, bool connected) const {
  const VmMemory memory = controller_->recall(client.id);
  return {.name = client.name,
          .connected = connected,
          .used = client.used,
          .target = client.target,
          .patterns = client.patterns,
          .total = client.total,
          .interval = memory.interval,
          .reason = memory.reason,
          .report = ring_clients_->report_of(client.id),
          .quota = quotas_->of(client.name)};
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
  const std::vector<tmem::ClientStatistics> clients = store_->statistics();
  const NodeView node = status_locked(clients);
  if (!vms_.contains(name)) {
    if (auto client = explain_client(name, node, clients)) {
      return *std::move(client);
    }
    return Error{ErrorCode::kNotFound, "no VM or client is called '" + name +
                                           "': see fallow vm list and fallow client list"};
  }
  const Result<VmView> vm = show_locked(name);
  FALLOW_TRY(vm);
  const VmMemory memory = controller_->recall(vms_.find(name)->second->client());
  return Explanation{.vm = *vm,
                     .policy = node.policy,
                     .findings = explain(*vm, node, memory.history),
                     .history = memory.history};
}

// One that came over a ring.
std::optional<Explanation> Node::explain_client(
    const std::string& name, const NodeView& node,
    const std::vector<tmem::ClientStatistics>& clients) const {
  const std::map<ClientId, bool> connected = ring_clients_->list();
  for (const tmem::ClientStatistics& client : clients) {
    const auto found = connected.find(client.id);
    if (found == connected.end() || client.name != name) {
      continue;
    }
    const ClientView view = view_of(client, found->second);
    const VmMemory memory = controller_->recall(client.id);
    return Explanation{.client = view,
                       .policy = node.policy,
                       .findings = explain(view, node, memory.history),
                       .history = memory.history};
  }
  return std::nullopt;
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
                .vm_count = vms_.size(),
                .workers = workers_->count(),
                .backing_speed = config_.backing_speed.described()};
  for (const tmem::ClientStatistics& client : clients) {
    view.patterns += client.patterns;
    view.compressed_pages += client.compressed_pages;
    view.compressed_bytes += client.compressed_bytes;
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
  NodeSnapshot snapshot{.node = status_locked(clients), .vms = {}, .clients = {}};
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
  const auto by_name = [](const ClientView& a, const ClientView& b) { return a.name < b.name; };
  for (const auto& [id, connected] : ring_clients_->list()) {
    if (const auto found = by_id.find(id); found != by_id.end()) {
      snapshot.clients.push_back(view_of(*found->second, connected));
    }
  }
  std::sort(snapshot.clients.begin(), snapshot.clients.end(), by_name);
  return snapshot;
}

std::map<ClientId, DemandTotals> Node::demands() const {
  std::map<ClientId, DemandTotals> all;
  {
    const std::lock_guard lock(vms_mutex_);
    for (const auto& [name, vm] : vms_) {
      all[vm->client()] = demand_of(vm->device_statistics());
    }
  }
  for (const auto& [client, connected] : ring_clients_->list()) {
    const std::optional<MemoryReport> report = ring_clients_->report_of(client);
    if (const auto demand = report ? demand_of(*report) : std::nullopt) {
      all[client] = *demand;
    }
  }
  return all;
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
