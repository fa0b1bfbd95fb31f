// What a program has with the daemon, kept across the daemon's deaths: the connection of now, the
// registered memory, the pools and the queues.
//
// A connection that is over is noticed by whoever needs it, and whoever notices makes the next one:
// restore() says hello with the secret of the connection before, registers all regions again and
// opens all pools again by their labels. Queues follow, each on its own thread, when they see that
// changes() has moved.
//
// Any thread; one mutex, which no operation on pages takes while the daemon is there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/connection.h"
#include "client/pool_table.h"
#include "client/region.h"

namespace fallow::client {

// Where a registered region is, and what the daemon of now calls it.
struct RegionView {
  const std::byte* begin;
  std::size_t size;
  std::uint32_t token;
};

// What a queue works with, until changes() moves on.
struct View {
  std::uint64_t changes = 0;
  std::shared_ptr<Connection> connection;
  std::vector<RegionView> regions;
};

class Client {
 public:
  struct Options {
    Connection::Target target;
    std::uint64_t reconnect_ns = 0;  // how long calls wait for a daemon that has gone
    std::uint32_t keep_seconds = 0;  // how long pages wait for a client that has gone
  };

  // Functions that return int give 0 or fail() with a text.
  static int connect(Options options, std::unique_ptr<Client>& made);
  ~Client();
  // Tells the daemon that nothing more will come, so that it drops the pages.
  void end();
  // The pages wait; only when options ask for that.
  void leave();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] bool keeps_pages() const { return options_.keep_seconds != 0; }
  // What to come back with.
  [[nodiscard]] ring::Secret secret();
  // Whether connect() found the pages of before.
  [[nodiscard]] bool resumed() const { return resumed_; }
  [[nodiscard]] bool has_disk() const { return options_.target.attach == ring::Attach::kDisk; }
  [[nodiscard]] std::uint64_t disk_bytes() const { return disk_bytes_.load(); }
  [[nodiscard]] std::uint32_t disk_block_bytes() const { return disk_block_bytes_; }
  // False in a process that was forked from the one that connected.
  [[nodiscard]] bool ours() const { return *fork_mark_ != 0; }

  // nullptr: fail() has the text, and errno is set.
  std::byte* allocate(std::size_t bytes);
  // Memory that is none of allocate()'s is left alone.
  void release(void* memory);

  // Moves whenever a View has become old.
  [[nodiscard]] std::uint64_t changes() const {
    // acquire: pairs with the release in change(); what the View leads to came before.
    return changes_.load(std::memory_order_acquire);
  }
  [[nodiscard]] View view();

  // Makes a new connection in place of `lost`, unless another thread has already. Tries until
  // `until_ns` of the clock: -EAGAIN; or until the daemon may no longer be away: -ENOTCONN.
  int restore(const Connection* lost, std::uint64_t until_ns);

  // A queue pair on `connection`, or -ENOTCONN when that is over.
  int open_queue(Connection& connection, std::uint32_t entries, Connection::Queue& queue);
  void close_queue(Connection& connection, std::uint32_t id);

  [[nodiscard]] const PoolTable& pools() const { return pools_; }
  // -EAGAIN: `connection`, which called it `pool`, is not the one of now.
  int add_pool(const Connection* connection, const PoolLabel& label, std::uint32_t pool,
               PoolHandle& handle);
  void remove_pool(PoolHandle handle, std::uint32_t pool);
  // The daemon came back without what the disk held; nothing that is read could be believed.
  [[nodiscard]] bool disk_lost() const { return disk_lost_.load(); }

 private:
  explicit Client(Options options);

  int first_connection();
  int attempt(std::uint64_t greeting_ns);
  int register_regions(Connection& connection, std::vector<std::uint32_t>& tokens);
  int reopen_pools(Connection& connection);
  int add_region(std::size_t bytes);
  void drop_unused_region(std::size_t index);
  void change() { changes_.fetch_add(1, std::memory_order_release); }

  Options options_;  // but for the secret, constant; that is guarded by mutex_
  bool resumed_ = false;
  const SystemClock clock_;
  std::atomic<std::uint64_t> disk_bytes_{0};
  std::uint32_t disk_block_bytes_ = 0;
  volatile std::uint32_t* fork_mark_ = nullptr;  // in a page that is zeros after a fork
  std::atomic<std::uint64_t> changes_{1};
  std::atomic<bool> disk_lost_{false};
  PoolTable pools_;

  std::mutex mutex_;  // guards all below, and requests on the connection
  std::shared_ptr<Connection> connection_;
  std::uint64_t away_since_ns_ = 0;  // 0: the daemon is there, as far as anybody has noticed
  std::vector<std::unique_ptr<Region>> regions_;
};

}  // namespace fallow::client
