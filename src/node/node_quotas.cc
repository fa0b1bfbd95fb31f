// The node's side of quotas: which name has which, and what is written down of it.
#include "base/log.h"
#include "node/node.h"
#include "node/quota_rules.h"

namespace fallow::node {

// What the file says holds at each start.
Status Node::set_configured_quotas() {
  const auto set = [this](const std::string& name, const QuotaRequest& request) -> Status {
    if (says_nothing(request)) {
      return {};
    }
    const Status done = quotas_->set(name, request, Quotas::Origin::kFile);
    return done ? done : Error{done.error().code, "quota of '" + name + "': " + done.error().text};
  };
  for (const VmRequest& vm : config_.vms) {
    FALLOW_TRY(set(vm.name, vm.quota));
  }
  for (const NamedQuota& quota : config_.quotas) {
    FALLOW_TRY(set(quota.name, quota.request));
  }
  return {};
}

// Of a VM of a life before, of which the file says nothing.
void Node::restore_quota(const VmRequest& request) {
  if (says_nothing(request.quota) || quotas_->find(request.name)) {
    return;
  }
  const Status set = quotas_->set(request.name, request.quota, Quotas::Origin::kCommand);
  if (!set) {
    log_warning("vm_quota_not_restored", {{"vm", request.name}, {"error", set.error().text}});
  }
}

// To one that has just come, the last of `count`. A minimum needs room from the others, at once.
void Node::give_first_target(ClientId client, const std::string& name, std::uint64_t count) {
  store_->set_target(client, controller_->initial_target(count, name));
  if (quotas_->of(name).min > 0) {
    controller_->quotas_changed();
  }
}

QuotaRequest Node::quota_to_keep(const std::string& name) const {
  const std::optional<Quotas::Entry> entry = quotas_->find(name);
  return entry && !entry->from_file ? entry->request : QuotaRequest{};
}

// In the record of the VM of that name, if there is one. With changes_mutex_ held.
Status Node::keep_quota(const std::string& name) {
  const auto found = vms_.find(name);  // nobody else changes it meanwhile
  if (found == vms_.end()) {
    return {};
  }
  VmExport& vm = *found->second;
  auto record = read_vm_record(vm.options().description);
  FALLOW_TRY(record);
  const QuotaRequest quota = quota_to_keep(name);
  if (record->request.quota == quota) {
    return {};
  }
  record->request.quota = quota;
  return vm.grow(record->request.size_bytes, describe(*record));
}

// Nothing is changed when it fails.
Status Node::change_quota(const std::string& name, const std::function<Status()>& change) {
  const std::lock_guard changes(changes_mutex_);
  const std::optional<Quotas::Entry> before = quotas_->find(name);
  FALLOW_TRY(change());
  if (const Status kept = keep_quota(name); !kept) {
    quotas_->put_back(name, before);
    return kept;
  }
  controller_->quotas_changed();
  return {};
}

Result<QuotaView> Node::set_quota(const std::string& name, const QuotaRequest& change) {
  if (says_nothing(change)) {
    return invalid("say at least one of min, max and weight");
  }
  FALLOW_TRY(
      change_quota(name, [&] { return quotas_->set(name, change, Quotas::Origin::kCommand); }));
  const Quotas::Entry entry = quotas_->find(name).value_or(Quotas::Entry{});
  log_info("quota_set", {{"name", name},
                         {"min", entry.request.min},
                         {"max", entry.request.max},
                         {"weight", entry.quota.weight}});
  return view_of(name, entry, present_names());
}

Status Node::clear_quota(const std::string& name) {
  FALLOW_TRY(change_quota(name, [&] { return quotas_->clear(name); }));
  log_info("quota_cleared", {{"name", name}});
  return {};
}

std::vector<QuotaView> Node::list_quotas() const {
  const std::set<std::string> present = present_names();
  std::vector<QuotaView> views;
  for (const auto& [name, entry] : quotas_->list()) {
    views.push_back(view_of(name, entry, present));
  }
  return views;
}

QuotaView Node::view_of(const std::string& name, const Quotas::Entry& entry,
                        const std::set<std::string>& present) const {
  return {.name = name,
          .request = entry.request,
          .quota = entry.quota,
          .present = present.contains(name)};
}

std::set<std::string> Node::present_names() const {
  std::set<std::string> names;
  for (const tmem::ClientStatistics& client : store_->statistics()) {
    names.insert(client.name);
  }
  return names;
}

}  // namespace fallow::node
