// A client process of the ring against redis and memcached over a Unix socket: pages of 4 KiB, the
// same keys in the same random order, each server in a process of its own.

#include <fallow/fallow.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "base/units.h"
#include "bench/bench_case.h"
#include "bench/cache_client.h"
#include "bench/own_daemon.h"
#include "bench/server_process.h"

namespace fallow::bench {
namespace {

constexpr unsigned kDepth = 32;

struct Size {
  std::uint32_t keys;
  std::size_t operations;  // of a round
  unsigned rounds;
};

Size size_of(const Settings& settings) {
  return settings.length == Settings::Length::kQuick ? Size{4096, 16384, 2}
                                                     : Size{65536, 262144, 7};
}

[[noreturn]] void stop(const char* what) {
  log_error("ring-bench", {{"what", what}, {"error", fallow_error()}});
  std::exit(1);
}

// The keys of a round, and a page to put.
class Workload {
 public:
  explicit Workload(const Size& size) : all_(size.keys), keys_(size.operations) {
    std::mt19937 random(1);
    std::iota(all_.begin(), all_.end(), 0u);
    std::uniform_int_distribution<std::uint32_t> any(0, size.keys - 1);
    std::generate(keys_.begin(), keys_.end(), [&] { return any(random); });
    std::generate(page_.begin(), page_.end(), [&] { return random(); });
  }
  [[nodiscard]] const std::vector<std::uint32_t>& all() const { return all_; }
  [[nodiscard]] const std::vector<std::uint32_t>& keys() const { return keys_; }
  [[nodiscard]] const std::byte* page() const {
    return reinterpret_cast<const std::byte*>(page_.data());
  }

 private:
  std::vector<std::uint32_t> all_;
  std::vector<std::uint32_t> keys_;
  std::array<std::uint32_t, kPageSize / 4> page_{};
};

// A daemon, and a client with a queue and registered pages, one for each operation in flight.
class Ours {
 public:
  Ours() {
    const std::string socket = daemon_.ring_socket();
    fallow_options options{};
    options.size = sizeof options;
    options.socket = socket.c_str();
    if (fallow_connect(&options, &client_) != 0 ||
        fallow_queue_open(client_, kDepth, &queue_) != 0 ||
        fallow_pool_open(queue_, FALLOW_PERSISTENT, 1, &pool_) != 0) {
      stop("connect");
    }
    pages_ = static_cast<std::byte*>(fallow_alloc(client_, kDepth * kPageSize));
    if (pages_ == nullptr) {
      stop("memory");
    }
  }
  ~Ours() { fallow_close(client_); }
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;

  void put(const std::vector<std::uint32_t>& keys, const std::byte* page) {
    for (unsigned i = 0; i < kDepth; ++i) {
      std::memcpy(pages_ + i * kPageSize, page, kPageSize);
    }
    run(keys, [this](std::uint32_t key, unsigned slot) {
      return fallow_submit_put(queue_, pool_, 0, key, pages_ + slot * kPageSize, slot);
    });
  }
  void get(const std::vector<std::uint32_t>& keys) {
    run(keys, [this](std::uint32_t key, unsigned slot) {
      return fallow_submit_get(queue_, pool_, 0, key, pages_ + slot * kPageSize, slot);
    });
  }
  void get_one_by_one(const std::vector<std::uint32_t>& keys) {
    for (const std::uint32_t key : keys) {
      if (fallow_get(queue_, pool_, 0, key, pages_) != 0) {
        stop("get");
      }
    }
  }

 private:
  // Keeps kDepth operations in flight.
  template <typename Submit>
  void run(const std::vector<std::uint32_t>& keys, Submit submit) {
    std::size_t submitted = 0;
    for (unsigned slot = 0; slot < kDepth && submitted < keys.size(); ++slot) {
      if (submit(keys[submitted++], slot) != 0) {
        stop("submit");
      }
    }
    fallow_completion done[kDepth];
    for (std::size_t completed = 0; completed < keys.size();) {
      const int count = fallow_wait(queue_, done, kDepth, -1);
      if (count < 0) {
        stop("wait");
      }
      for (int i = 0; i < count; ++i) {
        if (done[i].result != 0 ||
            (submitted < keys.size() &&
             submit(keys[submitted++], static_cast<unsigned>(done[i].user_data)) != 0)) {
          stop("operation");
        }
      }
      completed += static_cast<std::size_t>(count);
    }
  }

  OwnDaemon daemon_{{.memory = "384M"}};
  fallow_client* client_ = nullptr;
  fallow_queue* queue_ = nullptr;
  fallow_pool pool_ = 0;
  std::byte* pages_ = nullptr;
};

// Debian keeps the server's program under another name in redis-tools, which starts no service.
ServerProcess::Start redis(const TempDir& dir) {
  const std::string socket = dir.path() + "/redis.sock";
  return {find_program("redis-server") ? "redis-server" : "redis-check-rdb",
          {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly",
           "no", "--dir", dir.path()},
          socket,
          SOCK_STREAM,
          dir.path() + "/redis.log"};
}

ServerProcess::Start memcached(const TempDir& dir) {
  const std::string socket = dir.path() + "/memcached.sock";
  return {"memcached",
          {"memcached", "-s", socket, "-m", "1024", "-R", "100", "-u",
           ::getuid() == 0 ? "root" : "nobody"},
          socket,
          SOCK_STREAM,
          dir.path() + "/memcached.log"};
}

class Theirs {
 public:
  Theirs(CacheClient::Protocol protocol, const ServerProcess::Start& start)
      : server_(start), client_(protocol, start.socket) {}

  void put(const std::vector<std::uint32_t>& keys, const std::byte* page) {
    in_batches(keys, kDepth, [&](auto batch) { client_.put(batch, page); });
  }
  void get(const std::vector<std::uint32_t>& keys, std::size_t depth) {
    in_batches(keys, depth, [&](auto batch) { client_.get(batch); });
  }

 private:
  template <typename Work>
  static void in_batches(const std::vector<std::uint32_t>& keys, std::size_t depth, Work work) {
    for (std::size_t at = 0; at < keys.size(); at += depth) {
      work(std::span(keys).subspan(at, std::min(depth, keys.size() - at)));
    }
  }

  ServerProcess server_;
  CacheClient client_;
};

double seconds(const std::function<void()>& work) {
  const SystemClock clock;
  const std::uint64_t start = clock.now_ns();
  work();
  return static_cast<double>(clock.now_ns() - start) / 1e9;
}

Result compare_rates(const Case& what, const Size& size, const std::function<void()>& ours,
                     const std::function<void()>& theirs) {
  const auto operations = static_cast<double>(size.operations);
  return measure_in_turn(
      what, size.rounds, [&] { return operations / seconds(ours); },
      [&] { return operations / seconds(theirs); });
}

Result get_many(const Case& what, const Settings& settings, CacheClient::Protocol protocol,
                ServerProcess::Start (*peer)(const TempDir&)) {
  const Size size = size_of(settings);
  const Workload load(size);
  const TempDir dir;
  Ours ours;
  Theirs theirs(protocol, peer(dir));
  ours.put(load.all(), load.page());
  theirs.put(load.all(), load.page());
  return compare_rates(
      what, size, [&] { ours.get(load.keys()); }, [&] { theirs.get(load.keys(), kDepth); });
}

Result get_redis(const Case& what, const Settings& settings) {
  return get_many(what, settings, CacheClient::Protocol::kRedis, redis);
}

Result get_memcached(const Case& what, const Settings& settings) {
  return get_many(what, settings, CacheClient::Protocol::kMemcached, memcached);
}

Result put_redis(const Case& what, const Settings& settings) {
  const Size size = size_of(settings);
  const Workload load(size);
  const TempDir dir;
  Ours ours;
  Theirs theirs(CacheClient::Protocol::kRedis, redis(dir));
  return compare_rates(
      what, size, [&] { ours.put(load.keys(), load.page()); },
      [&] { theirs.put(load.keys(), load.page()); });
}

Result get_one_redis(const Case& what, const Settings& settings) {
  Size size = size_of(settings);
  size.operations /= 4;
  const Workload load(size);
  const TempDir dir;
  Ours ours;
  Theirs theirs(CacheClient::Protocol::kRedis, redis(dir));
  ours.put(load.all(), load.page());
  theirs.put(load.all(), load.page());
  const double scale = 1e6 / static_cast<double>(size.operations);
  return measure_in_turn(
      what, size.rounds, [&] { return scale * seconds([&] { ours.get_one_by_one(load.keys()); }); },
      [&] { return scale * seconds([&] { theirs.get(load.keys(), 1); }); });
}

}  // namespace

std::vector<Case> ring_cases() {
  return {
      {"ring.get_qd32_vs_redis", "pages/s", "higher", 3.0,
       "a client process gets pages, 32 in flight, against redis", get_redis},
      {"ring.put_qd32_vs_redis", "pages/s", "higher", 3.0,
       "a client process puts pages, 32 in flight, against redis", put_redis},
      {"ring.get_qd1_vs_redis", "us/get", "lower", 0.5,
       "a client process gets pages one by one, against redis", get_one_redis},
      {"ring.get_qd32_vs_memcached", "pages/s", "higher", 4.0,
       "a client process gets pages, 32 in flight, against memcached", get_memcached},
  };
}

}  // namespace fallow::bench
