// A ring server over a small store, for tests and fuzz targets.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/temp_dir.h"
#include "frontend/ring/ring_server.h"
#include "frontend/ring/test_client.h"

namespace fallow::ring {

// Admits every client with a target of its own. Pages that shall wait for their client do so for as
// long as the host is there.
class TestHost final : public RingHost {
 public:
  TestHost(tmem::Store& store, std::uint64_t target) : store_(store), target_(target) {}

  Result<Admission> admit_pages(std::string_view name, const Secret& secret, uid_t uid) override {
    EXPECT_EQ(uid, ::getuid());
    if (const auto kept = take_back(name, secret)) {
      return Admission{*kept, secret, true};
    }
    const auto client = store_.add_client(name);
    FALLOW_TRY(client);
    store_.set_target(*client, target_);
    const std::lock_guard lock(mutex_);
    names_[client->value] = name;
    return Admission{*client, kSecret, false};
  }
  void release_pages(ClientId client, Leaving how) override {
    const std::lock_guard lock(mutex_);
    if (how == Leaving::kLost && store_.keep_seconds_of(client) != 0) {
      waiting_[names_[client.value]] = client;
      return;
    }
    EXPECT_TRUE(store_.remove_client(client).ok());
    names_.erase(client.value);
  }
  void keep_report(ClientId client, const MemoryReport& report) override {
    const std::lock_guard lock(mutex_);
    reports_[names_[client.value]] = report;
  }
  [[nodiscard]] std::optional<MemoryReport> report_of(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = reports_.find(name);
    return found != reports_.end() ? std::optional(found->second) : std::nullopt;
  }
  Status attach_disk(std::string_view vm, Connection& connection) override {
    if (!attach) {
      return Error{ErrorCode::kNotFound, "there is no VM '" + std::string(vm) + "'"};
    }
    return attach(vm, connection);
  }
  std::function<Status(std::string_view vm, Connection& connection)> attach;

  // Of all clients that are there.
  void set_targets(std::uint64_t target) {
    const std::lock_guard lock(mutex_);
    for (const auto& [client, name] : names_) {
      store_.set_target(ClientId(client), target);
    }
  }
  // Those whose pages wait, too.
  [[nodiscard]] std::size_t clients() const {
    const std::lock_guard lock(mutex_);
    return names_.size();
  }
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  static constexpr Secret kSecret{{7, 8}};

  std::optional<ClientId> take_back(std::string_view name, const Secret& secret) {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(std::string(name));
    if (found == waiting_.end() || secret != kSecret) {
      return std::nullopt;
    }
    const ClientId client = found->second;
    waiting_.erase(found);
    return client;
  }

  tmem::Store& store_;
  const std::uint64_t target_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::string> names_;
  std::map<std::string, ClientId> waiting_;
  std::map<std::string, MemoryReport> reports_;  // the last of each name
};

struct TestNode {
  static constexpr std::uint64_t kFrames = 1024;

  explicit TestNode(const Limits& limits = {}, const Clock* other_clock = nullptr)
      : arena(make_arena(dir.path())),
        store(std::move(*tmem::Store::create(arena, clock))),
        host(*store, kFrames / 2) {
    set_log_level(LogLevel::kError);
    RingServerOptions options;
    options.socket_path = path();
    options.epoch = Epoch(3);
    options.limits = limits;
    auto made =
        RingServer::create(host, *store, other_clock != nullptr ? *other_clock : clock, options);
    EXPECT_TRUE(made.ok());
    server = std::move(*made);
  }
  static memory::Arena make_arena(const std::string& directory) {
    memory::ArenaOptions options;
    options.directory = directory;
    options.bytes = kFrames * kPageSize;
    auto arena = memory::Arena::open(options);
    EXPECT_TRUE(arena.ok()) << arena.error().text;
    return std::move(*arena);
  }
  [[nodiscard]] std::string path() const { return dir.path() + "/ring.sock"; }

  TempDir dir{"/dev/shm"};
  SystemClock clock;
  memory::Arena arena;
  std::unique_ptr<tmem::Store> store;
  TestHost host;
  std::unique_ptr<RingServer> server;
};

}  // namespace fallow::ring
