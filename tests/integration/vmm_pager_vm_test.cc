// A real VM, stock Linux under stock QEMU, of whose RAM half is in RAM: every word that its
// workload reads back is verified in the guest, while the pager is killed again and again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <sstream>

#include "integration/vmm.h"

namespace fallow::test {
namespace {

class VmmPagerVm : public testing::Test {
 protected:
  [[nodiscard]] std::string memory() const { return shared_.path() + "/ram"; }
  [[nodiscard]] std::string output() const { return read_file(dir_.path() + "/lab"); }

  // Boots a guest of 256 MiB that fills what it can of it and reads it back, step by step.
  void start(const PagerProcess& pager) {
    lab_ = std::make_unique<Background>(
        std::vector<std::string>{bin("fallow-lab"), "vm", "--accelerator", "tcg", "--pager",
                                 pager.socket(), "--mem", memory(), "--ram", "256M", "--image",
                                 std::string(FALLOW_SOURCE) + "/build/guest", "--", "usemem",
                                 "--step", "40M", "--max", "160M", "--once"},
        dir_.path() + "/lab");
  }
  [[nodiscard]] bool goes_on(int seconds) const { return !lab_->ends_within(seconds); }
  int wait() { return lab_->wait(); }

  const TempDir dir_;
  const TempDir shared_{"/dev/shm"};
  std::unique_ptr<Background> lab_;
};

TEST_F(VmmPagerVm, killedInTheMiddle_everyByteIsAsItWas) {
  Daemon::Options options;
  options.memory = "48M";  // some pages go to the backing file
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  PagerProcess pager(
      memory(), {"--ram", "128M", "--vm", "guest", "--ring", daemon.folder() + "/run/ring.sock"});
  start(pager);
  int kills = 0;
  while (goes_on(1) && kills < 300) {
    pager.end(SIGKILL);
    pager.start();
    ++kills;
  }
  EXPECT_EQ(wait(), 0) << output() << pager.log();
  EXPECT_GT(kills, 5);
  EXPECT_THAT(output(), testing::HasSubstr("step 167772160")) << pager.log();
  EXPECT_THAT(output(), testing::HasSubstr("verified")) << pager.log();
  EXPECT_EQ(pager.wait(), 0) << pager.log();
  const std::string log = pager.log();
  EXPECT_NE(log.find("the VM has ended"), std::string::npos) << log;
  EXPECT_NE(log.find(" 0 could not be had"), std::string::npos) << log;
}

}  // namespace
}  // namespace fallow::test
