// A VM's disk over NBD, with the tools that people use on it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/temp_dir.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

constexpr std::size_t kDiskBytes = 64u << 20;

// "" when the program is not along PATH.
std::string find(const std::string& program) {
  std::stringstream folders(std::string(std::getenv("PATH")) + ":/usr/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) {
      return folder + "/" + program;
    }
  }
  return "";
}

std::string plugin() {
  return bin("../lib/nbdkit-fallow-plugin.so");
}

bool appears(const std::string& path) {
  for (int i = 0; i < 1000 && ::access(path.c_str(), F_OK) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return ::access(path.c_str(), F_OK) == 0;
}

class Nbd : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"nbdkit", "nbdinfo", "nbdcopy", "qemu-img", "fio"}) {
      if (find(program).empty()) {
        GTEST_SKIP() << program << " is not installed: scripts/install-dependencies";
      }
    }
    // Less memory than disk: pages go to the backing file as well.
    Daemon::Options options;
    options.memory = "24M";
    options.vms = "[[vm]]\nname = \"vm1\"\nsize = \"64M\"\n";
    daemon_ = std::make_unique<Daemon>(options);
    ASSERT_TRUE(daemon_->wait_ready()) << daemon_->log();
    nbdkit_ = std::make_unique<Background>(
        std::vector<std::string>{find("nbdkit"), "--foreground", "--unix", socket(), plugin(),
                                 "vm1", "socket=" + ring()},
        dir_.path() + "/nbdkit.log");
    ASSERT_TRUE(appears(socket()));
  }
  [[nodiscard]] std::string ring() const { return daemon_->folder() + "/run/ring.sock"; }
  [[nodiscard]] std::string socket() const { return dir_.path() + "/nbd.sock"; }
  [[nodiscard]] std::string uri() const { return "nbd+unix:///?socket=" + socket(); }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_.path() + "/" + name; }

  // Random data with holes in it, as large as the disk.
  void make_image(const std::string& path) const {
    std::ofstream out(path, std::ios::binary);
    std::mt19937 random(1);
    std::vector<std::uint32_t> words(256u << 8);
    for (std::size_t at = 0; at < kDiskBytes; at += words.size() * 4) {
      for (std::uint32_t& word : words) {
        word = at / (words.size() * 4) % 3 == 1 ? 0 : static_cast<std::uint32_t>(random());
      }
      out.write(reinterpret_cast<const char*>(words.data()),
                static_cast<std::streamsize>(words.size() * 4));
    }
  }
  static void expect_success(const std::vector<std::string>& command) {
    const Outcome outcome = run(command, "", 240);
    EXPECT_EQ(outcome.exit_code, 0) << command[0] << ": " << outcome.out << outcome.err;
  }

  TempDir dir_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Background> nbdkit_;
};

TEST_F(Nbd, info_tellsTheDisk) {
  const Outcome outcome = run({find("nbdinfo"), "--json", uri()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto info = nlohmann::json::parse(outcome.out)["exports"][0];
  EXPECT_EQ(info["export-size"], kDiskBytes);
  EXPECT_EQ(info["is_read_only"], false);
  for (const char* can :
       {"can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero", "can_fast_zero"}) {
    EXPECT_EQ(info[can], true) << can;
  }
  EXPECT_EQ(info["block_size_minimum"], 4096);
  EXPECT_EQ(info["block_size_preferred"], 4096);
}

TEST_F(Nbd, copyInAndOut_isTheSame) {
  make_image(file("image"));
  expect_success({find("nbdcopy"), "--connections=4", file("image"), uri()});
  expect_success({find("nbdcopy"), "--connections=4", uri(), file("back")});
  expect_success({"/usr/bin/cmp", file("image"), file("back")});
  const Outcome map = run({find("nbdinfo"), "--map", "--totals", uri()});
  EXPECT_EQ(map.exit_code, 0) << map.err;
  EXPECT_NE(map.out.find("data"), std::string::npos) << map.out;
}

TEST_F(Nbd, qemuImg_convertsAndCompares) {
  make_image(file("image"));
  const std::string target = "nbd+unix:///?socket=" + socket();
  expect_success(
      {find("qemu-img"), "convert", "-n", "-f", "raw", "-O", "raw", file("image"), target});
  expect_success({find("qemu-img"), "compare", "-f", "raw", "-F", "raw", file("image"), target});
}

TEST_F(Nbd, fio_verifiesWhatItWroteAtRandom) {
  expect_success({find("fio"), "--name=verify", "--ioengine=nbd", "--uri=" + uri(),
                  "--rw=randwrite", "--bs=4k,64k", "--bsrange=4k-64k", "--iodepth=16", "--size=32M",
                  "--verify=crc32c", "--verify_state_save=0", "--randseed=3"});
}

// A daemon that is killed and started again takes its disks up where they were; whoever uses NBD
// sees a pause.
TEST_F(Nbd, daemonKilledUnderLoad_everythingIsThereAndNobodyNotices) {
  std::atomic<bool> done{false};
  std::thread load([&] {
    expect_success({find("fio"), "--name=verify", "--ioengine=nbd", "--uri=" + uri(),
                    "--rw=randwrite", "--bs=4k", "--iodepth=8", "--size=48M", "--verify=crc32c",
                    "--verify_state_save=0", "--randseed=5", "--loops=3"});
    done = true;
  });
  unsigned kills = 0;
  for (; !done && kills < 20; ++kills) {
    daemon_->kill_and_restart();
    EXPECT_TRUE(daemon_->wait_ready()) << daemon_->log();
  }
  load.join();
  EXPECT_GT(kills, 1u);
}

TEST_F(Nbd, wrongUse_isToldBeforeAnythingIsServed) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& expected) {
    arguments.insert(arguments.begin(), {find("nbdkit"), "--unix", file("other.sock"), plugin()});
    const Outcome outcome = run(arguments);
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
  };
  refused({"socket=" + ring()}, "which disk? give vm=NAME");
  refused({"vm=vm2", "socket=" + ring()}, "no VM is called 'vm2'");
  refused({"vm=vm1", "socket=" + file("nobody.sock")}, "no daemon listens on");
  refused({"vm=vm1", "size=5"}, "unknown parameter 'size'");
}

}  // namespace
}  // namespace fallow::test
