// The daemon is killed at random moments under a load that knows what every page must hold, and
// started again. FALLOW_CRASH_ROUNDS says how often; a few rounds by default, 200 in the long run
// (CONTRIBUTING.md).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "fallow/fallow.h"
#include "frontend/vhost_user/verifying_disk.h"
#include "integration/crash_rounds.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using vhost_user::VerifyingDisk;

// Kills the daemon at random moments, until it has done so `count` times, while `load` runs.
template <typename Load>
void kill_under(Daemon& daemon, unsigned count, Load load) {
  std::atomic<bool> enough{false};
  Status outcome;
  std::thread worker([&] { outcome = load(enough); });
  std::mt19937 random(std::random_device{}());
  for (unsigned i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300'000));
    daemon.kill_and_restart();
    if (!daemon.wait_ready()) {
      ADD_FAILURE() << "the daemon does not come back: " << daemon.log();
      break;
    }
  }
  enough = true;
  worker.join();
  EXPECT_TRUE(outcome.ok()) << (outcome.ok() ? "" : outcome.error().text) << daemon.log();
}

class DiskUnderLoad : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Crash, DiskUnderLoad, testing::Bool(), [](const auto& compressed) {
  return compressed.param ? "compressed" : "plain";
});

TEST_P(DiskUnderLoad, losesNothing) {
  const bool compressed = GetParam();
  Daemon::Options options = small_memory();
  options.compression = compressed ? "4" : "off";
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const std::uint64_t bytes = compressed ? 64 << 20 : 32 << 20;
  ASSERT_EQ(daemon
                .fallow({"vm", "add", "disk", "--size", std::to_string(bytes), "--compress",
                         compressed ? "lz4" : "off"})
                .exit_code,
            0);
  const auto disk = VerifyingDisk::open({.socket_path = daemon.disk_socket("disk"),
                                         .pages = bytes / 4096,
                                         .queues = 1,
                                         .depth = 32,
                                         .compressible = compressed,
                                         .timeout_ms = kPatienceMs});
  ASSERT_TRUE(disk.ok()) << disk.error().text;
  ASSERT_NO_FATAL_FAILURE(kill_under(daemon, rounds(), [&](const std::atomic<bool>& enough) {
    return (*disk)->run_until(enough);
  }));
  const Status verified = (*disk)->verify_all();
  EXPECT_TRUE(verified.ok()) << verified.error().text << daemon.log();
  EXPECT_EQ((*disk)->errors(), 0u);
  EXPECT_GE((*disk)->reconnections(), rounds() / 2);
  const json figures = json::parse(daemon.fallow({"vm", "show", "disk", "--json"}).out);
  std::cout << (*disk)->operations() << " operations, " << (*disk)->reconnections()
            << " reconnections\n";
  EXPECT_GT(figures.at("backing_pages"), 0);
  EXPECT_GT(figures.at("used"), 0);
  EXPECT_EQ(figures.at("compressed_pages") > 0, compressed);
}

// One thread's keys of a ring client: what each must hold is known after every operation.
class VerifyingClient {
 public:
  VerifyingClient(fallow_client* client, std::uint64_t object) : object_(object) {
    EXPECT_EQ(fallow_queue_open(client, 0, &queue_), 0) << fallow_error();
    EXPECT_EQ(fallow_pool_open(queue_, FALLOW_PERSISTENT, 1, &pool_), 0) << fallow_error();
    page_ = static_cast<std::uint64_t*>(fallow_alloc(client, FALLOW_PAGE_SIZE));
  }
  ~VerifyingClient() { fallow_queue_close(queue_); }

  Status run_until(const std::atomic<bool>& enough) {
    std::mt19937_64 random(object_);
    while (!enough) {
      const auto key = static_cast<std::uint32_t>(random() % kKeys);
      const auto choice = static_cast<unsigned>(random() % 10);
      FALLOW_TRY(choice < 5 ? put(key) : choice < 9 ? check(key) : flush(key));
      ++operations_;
    }
    return {};
  }
  Status check_all() {
    for (std::uint32_t key = 0; key < kKeys; ++key) {
      FALLOW_TRY(check(key));
    }
    return {};
  }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

 private:
  static constexpr std::uint32_t kKeys = 3000;
  static constexpr std::size_t kWords = FALLOW_PAGE_SIZE / sizeof(std::uint64_t);

  void fill(std::uint32_t key, std::uint64_t version) {
    for (std::size_t i = 0; i < kWords; ++i) {
      page_[i] = (version << 32 | key) + (version % 8 == 0 ? 0 : i * object_);
    }
  }
  [[nodiscard]] Error wrong(const char* what, std::uint32_t key, int result) const {
    return failed(std::string(what) + " of key " + std::to_string(key) + ", version " +
                  std::to_string(versions_[key]) + ": " + std::to_string(result) + " " +
                  fallow_error());
  }
  Status put(std::uint32_t key) {
    fill(key, ++last_version_);
    const int result = fallow_put(queue_, pool_, object_, key, page_);
    if (result != 0 && result != -EDQUOT && result != -ENOSPC) {
      return wrong("put", key, result);
    }
    versions_[key] = result == 0 ? last_version_ : 0;
    return {};
  }
  Status check(std::uint32_t key) {
    const int result = fallow_get(queue_, pool_, object_, key, page_);
    if (versions_[key] == 0) {
      return result == -ENOENT ? Status() : wrong("get of a page that is not there", key, result);
    }
    if (result != 0) {
      return wrong("get", key, result);
    }
    std::vector<std::uint64_t> got(page_, page_ + kWords);
    fill(key, versions_[key]);
    return std::equal(got.begin(), got.end(), page_) ? Status() : wrong("content", key, 0);
  }
  Status flush(std::uint32_t key) {
    const int result = fallow_flush_page(queue_, pool_, object_, key);
    versions_[key] = 0;
    // One that was carried out before the daemon died finds nothing when it is repeated.
    return result >= 0 ? Status() : wrong("flush", key, result);
  }

  const std::uint64_t object_;
  fallow_queue* queue_ = nullptr;
  fallow_pool pool_ = 0;
  std::uint64_t* page_ = nullptr;
  std::vector<std::uint64_t> versions_ = std::vector<std::uint64_t>(kKeys);  // 0: not there
  std::uint64_t last_version_ = 0;
  std::uint64_t operations_ = 0;
};

TEST(Crash, ringClientsUnderLoad_loseNothing) {
  Daemon daemon(small_memory());
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const std::string socket = daemon.folder() + "/run/ring.sock";
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  options.name = "crasher";
  options.reconnect_timeout_ms = kPatienceMs;
  fallow_client* client = nullptr;
  ASSERT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
  {
    VerifyingClient first(client, 1);
    VerifyingClient second(client, 2);
    ASSERT_NO_FATAL_FAILURE(kill_under(daemon, rounds(), [&](const std::atomic<bool>& enough) {
      Status other;
      std::thread beside([&] { other = second.run_until(enough); });
      const Status one = first.run_until(enough);
      beside.join();
      return one ? other : one;
    }));
    for (VerifyingClient* each : {&first, &second}) {
      const Status all = each->check_all();
      EXPECT_TRUE(all.ok()) << all.error().text << daemon.log();
    }
    std::cout << first.operations() + second.operations() << " operations\n";
  }
  fallow_close(client);
}

}  // namespace
}  // namespace fallow::test
