// The daemon is killed at random moments under a load that knows what every page must hold, and
// started again. FALLOW_CRASH_ROUNDS says how often; a few rounds by default, 200 in the long run
// (CONTRIBUTING.md).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "frontend/vhost_user/verifying_disk.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using vhost_user::VerifyingDisk;

unsigned rounds() {
  const char* text = std::getenv("FALLOW_CRASH_ROUNDS");
  return text == nullptr ? 12 : static_cast<unsigned>(std::atoi(text));
}

// Half of the disk's pages fit into memory; demotion moves pages all the while.
Daemon::Options small_memory() {
  Daemon::Options options;
  options.memory = "16M";
  options.policy = "smart-alloc:P=50,threshold=0";
  options.interval = "10ms";
  options.extra_device = "demotion = \"20000\"";
  return options;
}

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

TEST(Crash, diskUnderLoad_losesNothing) {
  Daemon daemon(small_memory());
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "disk", "--size", "32M"}).exit_code, 0);
  const auto disk = VerifyingDisk::open({.socket_path = daemon.disk_socket("disk"),
                                         .pages = (32 << 20) / 4096,
                                         .queues = 1,
                                         .depth = 32});
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
}

}  // namespace
}  // namespace fallow::test
