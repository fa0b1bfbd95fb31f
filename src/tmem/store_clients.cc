// Store's clients, pools and statistics: rare, under control_mutex_.

#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "tmem/store.h"
#include "tmem/store_slots.h"

namespace fallow::tmem {

std::optional<ClientId> Store::find_client(std::string_view name) const {
  const std::lock_guard lock(control_mutex_);
  for (const auto& slot : clients_) {
    const Client* client = slot.load();
    if (client != nullptr && client->id.load() != 0 && client->name == name) {
      return ClientId(client->id.load());
    }
  }
  return std::nullopt;
}

Result<ClientId> Store::add_client(std::string_view name, const ClientSecret& secret) {
  FALLOW_TRY(check_name(name));
  const std::lock_guard lock(control_mutex_);
  std::optional<std::uint32_t> free;
  for (std::uint32_t i = 0; i < memory::kClientsMax; ++i) {
    const Client* client = clients_[i].load();
    if (client == nullptr || client->id.load() == 0) {
      free = free ? free : std::optional(i);
    } else if (client->name == name) {
      return Error{ErrorCode::kExists, "'" + std::string(name) + "' exists already"};
    }
  }
  if (!free) {
    return failed("there are " + std::to_string(memory::kClientsMax) +
                  " clients, which is the most");
  }
  Client& client = *make_client_slot(*free);
  memory::ClientRecord& record = arena_.clients()[*free];
  const std::uint32_t id = next_id(record.last_id, *free, memory::kClientsMax);
  client.name = name;
  client.last = {};
  client.account.reset();
  client.slabs.set_owner(ClientId(id));
  std::memset(record.name, 0, sizeof record.name);
  std::memcpy(record.name, name.data(), name.size());
  record.last_id = id;
  record.target = 0;
  record.compression = static_cast<std::uint32_t>(Compression::kOff);
  record.keep_seconds = 0;
  record.secret[0] = secret.words[0];
  record.secret[1] = secret.words[1];
  std::atomic_ref(record.id).store(id);
  client.id.store(id, std::memory_order_release);
  return ClientId(id);
}

Store::Client* Store::make_client_slot(std::uint32_t slot) {
  if (clients_[slot].load() == nullptr) {
    clients_[slot].store(new Client(slabs_), std::memory_order_release);
  }
  return clients_[slot].load();
}

ClientSecret Store::secret_of(ClientId id) const {
  const std::lock_guard lock(control_mutex_);
  if (client_of(id) == nullptr) {
    return {};
  }
  const memory::ClientRecord& record = arena_.clients()[id.value % memory::kClientsMax];
  return {{record.secret[0], record.secret[1]}};
}

void Store::set_keep_seconds(ClientId id, std::uint32_t seconds) {
  const std::lock_guard lock(control_mutex_);
  if (client_of(id) != nullptr) {
    std::atomic_ref(arena_.clients()[id.value % memory::kClientsMax].keep_seconds).store(seconds);
  }
}

std::uint32_t Store::keep_seconds_of(ClientId id) const {
  const std::lock_guard lock(control_mutex_);
  return client_of(id) != nullptr ? arena_.clients()[id.value % memory::kClientsMax].keep_seconds
                                  : 0;
}

Status Store::remove_client(ClientId id) {
  const std::lock_guard lock(control_mutex_);
  Client* client = client_of(id);
  if (client == nullptr) {
    return Error{ErrorCode::kNotFound, "no such client"};
  }
  for (auto& slot : pools_) {
    Pool* pool = slot.load();
    if (pool != nullptr && pool->id.load() != 0 && pool->client == id.value) {
      FALLOW_TRY(destroy_pool_locked(PoolId(pool->id.load())));
    }
  }
  if (recorder_.on()) {
    recorder_.note({.client = id.value, .kind = recording::Kind::kClientGone});
  }
  std::atomic_ref(arena_.clients()[id.value % memory::kClientsMax].id).store(0u);
  client->id.store(0, std::memory_order_release);
  return {};
}

Result<PoolId> Store::make_pool(ClientId owner, PoolKind kind, std::uint64_t label) {
  const std::lock_guard lock(control_mutex_);
  return make_pool_locked(owner, kind, label);
}

Result<PoolId> Store::make_pool_locked(ClientId owner, PoolKind kind, std::uint64_t label) {
  Client* client = client_of(owner);
  if (client == nullptr) {
    return Error{ErrorCode::kNotFound, "no such client"};
  }
  for (std::uint32_t i = 0; i < memory::kPoolsMax; ++i) {
    if (pools_[i].load() != nullptr && pools_[i].load()->id.load() != 0) {
      continue;
    }
    Pool& pool = *make_pool_slot(i);
    memory::PoolRecord& record = arena_.pools()[i];
    const std::uint32_t id = next_id(record.last_id, i, memory::kPoolsMax);
    pool.account.store(&client->account);
    pool.slabs.store(&client->slabs);
    pool.client = owner.value;
    pool.kind.store(kind);
    pool.suspect.store(false);
    record.client = owner.value;
    record.kind = static_cast<std::uint32_t>(kind);
    record.last_id = id;
    record.label = label;
    std::atomic_ref(record.id).store(id);
    pool.id.store(id, std::memory_order_release);
    return PoolId(id);
  }
  return failed("there are " + std::to_string(memory::kPoolsMax) + " pools, which is the most");
}

Store::Pool* Store::make_pool_slot(std::uint32_t slot) {
  if (pools_[slot].load() == nullptr) {
    pools_[slot].store(new Pool, std::memory_order_release);
  }
  return pools_[slot].load();
}

Result<PoolId> Store::open_pool(ClientId owner, PoolKind kind, std::uint64_t label) {
  if (label == kNoLabel) {
    return invalid("this label is kept for pools without one");
  }
  const std::lock_guard lock(control_mutex_);
  for (std::uint32_t i = 0; i < memory::kPoolsMax; ++i) {
    const Pool* pool = pools_[i].load();
    if (pool != nullptr && pool->id.load() != 0 && pool->client == owner.value &&
        arena_.pools()[i].label == label) {
      if (pool->kind.load() != kind) {
        return invalid("the pool of this label is of the other kind");
      }
      return PoolId(pool->id.load());
    }
  }
  return make_pool_locked(owner, kind, label);
}

bool Store::owns_pool(ClientId owner, PoolId id) const {
  const std::lock_guard lock(control_mutex_);
  const Pool* pool = find_pool(id);
  return pool != nullptr && pool->client == owner.value;
}

Status Store::destroy_pool(PoolId id) {
  const std::lock_guard lock(control_mutex_);
  return destroy_pool_locked(id);
}

Status Store::destroy_pool_locked(PoolId id) {
  Pool* pool = find_pool(id);
  if (pool == nullptr) {
    return Error{ErrorCode::kNotFound, "no such pool"};
  }
  record(recording::Kind::kFlushPool, {id, 0, 0}, recording::Outcome::kDone);
  // Close first, then sweep: a put that still came in holds some shard's lock, and the sweep takes
  // every shard's lock after it.
  pool->id.store(0, std::memory_order_release);
  remove_matching(*pool, id, std::nullopt);
  std::atomic_ref(arena_.pools()[id.value % memory::kPoolsMax].id).store(0u);
  return {};
}

void Store::set_target(ClientId id, std::uint64_t frames) {
  const std::lock_guard lock(control_mutex_);
  if (Client* client = client_of(id)) {
    client->account.set_target(frames);
    std::atomic_ref(arena_.clients()[id.value % memory::kClientsMax].target).store(frames);
  }
}

Status Store::set_compression(ClientId id, Compression compression) {
  const std::lock_guard lock(control_mutex_);
  Client* client = client_of(id);
  if (client == nullptr) {
    return Error{ErrorCode::kNotFound, "no such client"};
  }
  if (compression != Compression::kOff && arena_.slots() == 0) {
    return invalid("this node's memory was set up without compression: see 'compression'");
  }
  arena_.clients()[id.value % memory::kClientsMax].compression =
      static_cast<std::uint32_t>(compression);
  client->account.set_compresses(compression != Compression::kOff);
  return {};
}

// Statistics.

Store::Allowance Store::allowance(ClientId id) const {
  const Client* client = client_of(id);
  if (client == nullptr) {
    return {};
  }
  const Account& account = client->account;
  return {account.used(), account.target()};
}

ClientStatistics Store::statistics_of(const Client& client) const {
  const Account& account = client.account;
  ClientStatistics result;
  result.id = ClientId(client.id.load());
  result.name = client.name;
  result.used = account.used();
  result.target = account.target();
  result.patterns = account.patterns.load(std::memory_order_relaxed);
  result.compression = account.compresses() ? Compression::kLz4 : Compression::kOff;
  result.compressed_pages = client.slabs.pages();
  result.compressed_bytes = client.slabs.bytes();
  result.total = account.counters();
  return result;
}

std::vector<ClientStatistics> Store::statistics() const {
  const std::lock_guard lock(control_mutex_);
  std::vector<ClientStatistics> result;
  for (const auto& slot : clients_) {
    const Client* client = slot.load();
    if (client != nullptr && client->id.load() != 0) {
      result.push_back(statistics_of(*client));
    }
  }
  return result;
}

std::optional<ClientStatistics> Store::statistics(ClientId id) const {
  const std::lock_guard lock(control_mutex_);
  const Client* client = client_of(id);
  return client != nullptr ? std::optional(statistics_of(*client)) : std::nullopt;
}

std::vector<ClientStatistics> Store::take_interval() {
  std::vector<ClientStatistics> result = statistics();
  const std::lock_guard lock(control_mutex_);
  for (ClientStatistics& statistics : result) {
    if (Client* client = client_of(statistics.id)) {
      statistics.interval = statistics.total - client->last;
      client->last = statistics.total;
    }
  }
  return result;
}

LatencySnapshot Store::latency(ClientId id) const {
  const Client* client = client_of(id);
  if (client == nullptr) {
    return {};
  }
  const Account& account = client->account;
  return {account.put_ns.snapshot(), account.get_ns.snapshot()};
}

std::uint64_t Store::overhead_bytes() const {
  return arena_.table_bytes() + std::uint64_t{arena_.records()} * PageIndex::kBytesPerRecord +
         slabs_.overhead_bytes();
}

}  // namespace fallow::tmem
