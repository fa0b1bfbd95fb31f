#include "node/quotas.h"

#include "base/text.h"
#include "node/quota_rules.h"

namespace fallow::node {
namespace {

__extension__ using Wide = unsigned __int128;

std::string size_of(Wide pages) {
  return format_pages(static_cast<std::uint64_t>(std::min(pages, Wide{policy::Quota::kNoMax})));
}

}  // namespace

Status Quotas::set(const std::string& name, const QuotaRequest& change, Origin origin) {
  FALLOW_TRY(check_name(name));
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  Entry entry = found == entries_.end() ? Entry{} : found->second;
  entry.request = merged(entry.request, change);
  entry.from_file = entry.from_file || origin == Origin::kFile;
  const Result<policy::Quota> quota = quota_of(entry.request, total_);
  FALLOW_TRY(quota);
  entry.quota = *quota;
  FALLOW_TRY(check_minimums(name, entry.quota.min));
  if (found == entries_.end() && entries_.size() == kQuotasMax) {
    return failed("there are " + std::to_string(kQuotasMax) +
                  " quotas already, as many as there can be: clear some");
  }
  entries_[name] = std::move(entry);
  return {};
}

Status Quotas::check_minimums(const std::string& name, std::uint64_t min) const {
  Wide sum = min;
  for (const auto& [other, entry] : entries_) {
    sum += other == name ? 0 : entry.quota.min;
  }
  if (min == 0 || sum <= total_) {
    return {};
  }
  return invalid("the minimums would add up to " + size_of(sum) + ", and the node has " +
                 size_of(total_) + ": ask for less, or lower another one (fallow quota list)");
}

Status Quotas::clear(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (entries_.erase(name) == 0) {
    return Error{ErrorCode::kNotFound, "'" + name + "' has no quota: see fallow quota list"};
  }
  return {};
}

void Quotas::put_back(const std::string& name, const std::optional<Entry>& entry) {
  const std::lock_guard lock(mutex_);
  if (entry) {
    entries_[name] = *entry;
  } else {
    entries_.erase(name);
  }
}

std::optional<Quotas::Entry> Quotas::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

policy::Quota Quotas::of(const std::string& name) const {
  const std::optional<Entry> entry = find(name);
  return entry ? entry->quota : policy::Quota{};
}

std::map<std::string, Quotas::Entry> Quotas::list() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace fallow::node
