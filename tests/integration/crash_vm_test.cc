// The daemon is killed at random moments while a real VM swaps, stock Linux under stock QEMU, and
// started again (see crash_test.cc).

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "integration/crash_rounds.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;

// A guest that swaps goes on after each death, and verifies every word that it swapped.
TEST(CrashVm, guestThatSwaps_losesNothing) {
  Daemon::Options options = small_memory();
  options.memory = "96M";
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "guest", "--size", "256M"}).exit_code, 0);
  const unsigned wanted = (rounds() + 3) / 4;
  std::atomic<bool> over{false};
  std::vector<Outcome> outcomes;
  std::thread guests([&] {
    do {
      outcomes.push_back(
          run({bin("fallow-lab"), "vm", "--socket", daemon.disk_socket("guest"), "--ram", "128M",
               "--image", std::string(FALLOW_SOURCE) + "/build/guest", "--", "usemem", "--step",
               "290M", "--max", "290M", "--once"},
              "", 900));
    } while (!over && outcomes.back().exit_code == 0);
  });
  std::mt19937 random(std::random_device{}());
  for (unsigned i = 0; i < wanted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3000 + random() % 5000));
    daemon.kill_and_restart();
    if (!daemon.wait_ready()) {
      ADD_FAILURE() << "the daemon does not come back: " << daemon.log();
      break;
    }
  }
  over = true;
  guests.join();
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err << daemon.log();
  }
  const json figures = json::parse(daemon.fallow({"vm", "show", "guest", "--json"}).out);
  EXPECT_GT(figures.at("total").at("puts_total"), 0);
  EXPECT_EQ(figures.at("io_errors"), 0);
}

}  // namespace
}  // namespace fallow::test
