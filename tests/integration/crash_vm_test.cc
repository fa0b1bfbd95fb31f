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

// Whether the guest has begun to swap to this life of the daemon.
bool swaps(const Daemon& daemon) {
  const Outcome outcome = daemon.fallow({"vm", "show", "guest", "--json"});
  return outcome.exit_code == 0 &&
         json::parse(outcome.out).at("total").at("puts_total").get<std::uint64_t>() > 0;
}

// A guest that swaps goes on after each death, and verifies every word that it swapped. One guest
// after the other, until the daemon has died often enough.
TEST(CrashVm, guestThatSwaps_losesNothing) {
  Daemon::Options options = small_memory();
  options.memory = "96M";
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "guest", "--size", "256M"}).exit_code, 0);
  const unsigned wanted = (rounds() + 3) / 4;
  std::mt19937 random(std::random_device{}());
  unsigned deaths = 0;
  while (deaths < wanted) {
    std::atomic<bool> running{true};
    Outcome outcome;
    std::thread guest([&] {
      outcome = run({bin("fallow-lab"), "vm", "--socket", daemon.disk_socket("guest"), "--ram",
                     "128M", "--image", std::string(FALLOW_SOURCE) + "/build/guest", "--", "usemem",
                     "--step", "290M", "--max", "290M", "--once"},
                    "", 240);
      running = false;
    });
    while (running && deaths < wanted) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200 + random() % 2000));
      if (running && swaps(daemon)) {
        daemon.kill_and_restart();
        ++deaths;
        EXPECT_TRUE(daemon.wait_ready()) << daemon.log();
      }
    }
    guest.join();
    ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err << daemon.log();
  }
  const json figures = json::parse(daemon.fallow({"vm", "show", "guest", "--json"}).out);
  EXPECT_EQ(figures.at("io_errors"), 0);
  EXPECT_EQ(figures.at("lost_pages"), 0);
}

}  // namespace
}  // namespace fallow::test
