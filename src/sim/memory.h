// The node's frames as a replay has them: who holds how many and who may hold how many. What the
// page store does with a put or a flush (src/tmem), without the pages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/controller.h"
#include "tmem/store.h"

namespace fallow::sim {

class Memory final : public node::FrameAccounts {
 public:
  explicit Memory(std::uint64_t frames) : frames_(frames), free_(frames) {}

  ClientId add_client(const std::string& name);
  void remove_client(ClientId client) { account(client).present = false; }
  void set_quota(ClientId client, const policy::Quota& quota) { account(client).quota = quota; }
  [[nodiscard]] std::uint64_t clients() const;

  // 004, Algorithm 1: whether a frame is to be had; it is the client's then.
  bool charge(ClientId client);
  void uncharge(ClientId client);
  // How many more the client could have now.
  [[nodiscard]] std::uint64_t room(ClientId client) const;
  // How many it holds beyond its target.
  [[nodiscard]] std::uint64_t excess(ClientId client) const;
  [[nodiscard]] std::uint64_t target(ClientId client) const { return account(client).target; }
  [[nodiscard]] std::uint64_t used(ClientId client) const { return account(client).used; }
  [[nodiscard]] std::uint64_t peak(ClientId client) const { return account(client).peak; }
  tmem::Counters& counters(ClientId client) { return account(client).total; }

  // For the controller.
  [[nodiscard]] std::uint64_t total_frames() const override { return frames_; }
  [[nodiscard]] std::vector<tmem::ClientStatistics> take_interval() override;
  void set_target(ClientId client, std::uint64_t pages) override;
  [[nodiscard]] policy::Quota quota_of(const std::string& name) const override;

 private:
  struct Account {
    std::string name;
    bool present = true;
    std::uint64_t used = 0;
    std::uint64_t target = 0;
    std::uint64_t peak = 0;
    tmem::Counters total{};
    tmem::Counters last{};
    policy::Quota quota{};
  };
  Account& account(ClientId client) { return accounts_[client.value - 1]; }
  [[nodiscard]] const Account& account(ClientId client) const {
    return accounts_[client.value - 1];
  }

  const std::uint64_t frames_;
  std::uint64_t free_;
  std::vector<Account> accounts_;
};

}  // namespace fallow::sim
