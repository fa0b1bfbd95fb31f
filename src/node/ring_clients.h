// The clients that come over rings: who they are, whose pages come back to whom, and when pages
// that nobody comes back for are given up.
//
// Pages wait for their client after the daemon's death, and after the client's own when it has
// asked for that. How long is written down in the store, so that a next life of the daemon knows as
// well; it begins the wait anew.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "frontend/ring/ring_host.h"
#include "node/views.h"
#include "tmem/store.h"

namespace fallow::node {

// Any thread.
class RingClients {
 public:
  // How long the pages of a client wait for it after the daemon's death, at least.
  static constexpr std::uint64_t kReturnNs = 60'000'000'000;

  RingClients(tmem::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // At the start: the clients that a life before has left, until they come back.
  void expect(ClientId client, const std::string& name);
  // A new client, or one that comes back. Errors: kExists when the name is taken.
  Result<RingHost::Admission> admit(std::string_view name, const ring::Secret& secret);
  // It has left: its pages go, or wait for it.
  void release(ClientId client, RingHost::Leaving how);
  // Gives up the pages of those that did not come back in time.
  void give_up_the_lost();

  // What a client says of its memory, for report_of(); the last one counts.
  void keep_report(ClientId client, const ring::MemoryReport& report);
  [[nodiscard]] std::optional<MemoryReport> report_of(ClientId client) const;

  // Every client, and whether it is connected: else its pages wait for it.
  [[nodiscard]] std::map<ClientId, bool> list() const;

 private:
  enum class State { kExpected, kConnected };
  struct Client {
    State state;
    std::string name;
    std::uint64_t give_up_at_ns = 0;       // kExpected
    std::optional<MemoryReport> report{};  // without its age
    std::uint64_t reported_at_ns = 0;
  };
  Result<RingHost::Admission> add(std::string_view name);
  [[nodiscard]] bool await(ClientId client);

  tmem::Store& store_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<ClientId, Client> clients_;  // guarded by mutex_
};

}  // namespace fallow::node
