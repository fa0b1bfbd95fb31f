#include "sim/memory.h"

#include <algorithm>

namespace fallow::sim {

ClientId Memory::add_client(const std::string& name) {
  accounts_.push_back({.name = name});
  return ClientId(static_cast<std::uint32_t>(accounts_.size()));
}

std::uint64_t Memory::clients() const {
  return static_cast<std::uint64_t>(std::count_if(
      accounts_.begin(), accounts_.end(), [](const Account& account) { return account.present; }));
}

bool Memory::charge(ClientId client) {
  Account& its = account(client);
  if (its.used >= its.target || free_ == 0) {
    return false;
  }
  --free_;
  its.peak = std::max(its.peak, ++its.used);
  return true;
}

void Memory::uncharge(ClientId client) {
  --account(client).used;
  ++free_;
}

std::uint64_t Memory::room(ClientId client) const {
  const Account& its = account(client);
  return its.used < its.target ? std::min(its.target - its.used, free_) : 0;
}

std::uint64_t Memory::excess(ClientId client) const {
  const Account& its = account(client);
  return its.used > its.target ? its.used - its.target : 0;
}

std::vector<tmem::ClientStatistics> Memory::take_interval() {
  std::vector<tmem::ClientStatistics> all;
  for (std::uint32_t i = 0; i < accounts_.size(); ++i) {
    Account& its = accounts_[i];
    if (its.present) {
      tmem::ClientStatistics one;
      one.id = ClientId(i + 1);
      one.name = its.name;
      one.used = its.used;
      one.target = its.target;
      one.total = its.total;
      one.interval = its.total - its.last;
      its.last = its.total;
      all.push_back(std::move(one));
    }
  }
  return all;
}

void Memory::set_target(ClientId client, std::uint64_t pages) {
  account(client).target = pages;
}

policy::Quota Memory::quota_of(const std::string& name) const {
  for (const Account& its : accounts_) {
    if (its.present && its.name == name) {
      return its.quota;
    }
  }
  return {};
}

}  // namespace fallow::sim
