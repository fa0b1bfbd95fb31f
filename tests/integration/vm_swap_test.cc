// A real VM, stock Linux under stock QEMU, runs out of RAM and fills its swap on a Fallow disk;
// every word that it reads back is verified by the workload in the guest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;

json figures_of(const Daemon& daemon, const std::string& vm) {
  return json::parse(daemon.fallow({"vm", "show", vm, "--json"}).out);
}

// Runs usemem once over a block that needs about nine tenths of the 256 MiB swap disk.
void swap_through(Daemon& daemon) {
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "guest", "--size", "256M"}).exit_code, 0);
  const std::string image = std::string(FALLOW_SOURCE) + "/build/guest";
  const Outcome outcome =
      run({bin("fallow-lab"), "vm", "--socket", daemon.disk_socket("guest"), "--ram", "128M",
           "--image", image, "--", "usemem", "--step", "290M", "--max", "290M", "--once"},
          "", 900);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err << daemon.log();
  EXPECT_THAT(outcome.out, testing::HasSubstr("step "));
}

TEST(VmSwap, memoryAndBackingFile_returnEveryByte) {
  Daemon::Options options;
  options.memory = "96M";
  Daemon daemon(options);
  ASSERT_NO_FATAL_FAILURE(swap_through(daemon));
  const json figures = figures_of(daemon, "guest");
  // 290 MiB in a guest of 128 MiB: at least 160 MiB went out, 96 MiB of them into memory.
  constexpr std::uint64_t kMemoryPages = (96 << 20) / 4096;
  EXPECT_GE(figures.at("memory_writes"), kMemoryPages);
  EXPECT_GE(figures.at("backing_writes"), kMemoryPages / 2);
  EXPECT_GT(figures.at("memory_reads"), 0);
  EXPECT_GT(figures.at("backing_reads"), 0);
  EXPECT_EQ(figures.at("io_errors"), 0);
}

// The target jumps between nothing and everything while the guest swaps, so pages move out under
// its feet.
TEST(VmSwap, demotionAllTheWhile_returnsEveryByte) {
  Daemon::Options options;
  options.memory = "64M";
  options.policy = "smart-alloc:P=100,threshold=0";
  options.interval = "10ms";
  options.extra_device = "demotion = \"20000\"";
  Daemon daemon(options);
  ASSERT_NO_FATAL_FAILURE(swap_through(daemon));
  const json figures = figures_of(daemon, "guest");
  EXPECT_GT(figures.at("total").at("pages_demoted"), 0);
  EXPECT_GT(figures.at("backing_reads"), 0);
  EXPECT_EQ(figures.at("io_errors"), 0);
}

// The same disk over the network: stock QEMU with its own NBD client, nbdkit with our plugin.
TEST(VmSwap, overNbd_returnsEveryByte) {
  Daemon::Options options;
  options.memory = "96M";
  options.vms = "[[vm]]\nname = \"guest\"\nsize = \"256M\"\n";
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const TempDir dir;
  const std::string socket = dir.path() + "/nbd.sock";
  const Background nbdkit(
      {"/usr/bin/nbdkit", "--foreground", "--unix", socket, bin("../lib/nbdkit-fallow-plugin.so"),
       "vm=guest", "socket=" + daemon.folder() + "/run/ring.sock"},
      dir.path() + "/nbdkit.log");
  const Outcome outcome = run({bin("fallow-lab"), "vm", "--nbd", socket, "--ram", "128M", "--image",
                               std::string(FALLOW_SOURCE) + "/build/guest", "--", "usemem",
                               "--step", "290M", "--max", "290M", "--once"},
                              "", 900);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err << daemon.log();
  const json figures = figures_of(daemon, "guest");
  EXPECT_GT(figures.at("memory_reads"), 0);
  EXPECT_EQ(figures.at("io_errors"), 0);
}

// What `fallow-lab run` with machines as guests found: the only scenario of its results.
void run_machines(const std::string& scenario, const std::string& policies, const std::string& out,
                  json* found) {
  const Outcome outcome = run({bin("fallow-lab"), "run", scenario, "--guest", "vm", "--scale",
                               "0.0625", "--policies", policies, "--repetitions", "1", "--out", out,
                               "--image", std::string(FALLOW_SOURCE) + "/build/guest", "--json"},
                              "", 900);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  *found = json::parse(outcome.out).at("scenarios").at(0);
  EXPECT_THAT(found->at("guest").get<std::string>(), testing::StartsWith("vm ("));
}

// The demo's scenario, small: three VMs under two policies, all of which swap, with a report.
TEST(Lab, usememOfMachines_swapsInEveryVmAndReports) {
  const TempDir out;
  json scenario;
  ASSERT_NO_FATAL_FAILURE(run_machines("usemem", "greedy,smart-alloc:P=2", out.path(), &scenario));
  ASSERT_EQ(scenario.at("policies").size(), 3u);
  EXPECT_EQ(scenario.at("policies").at(0).at("policy"), "ample");
  for (const std::size_t i : {1, 2}) {
    const json& policy = scenario.at("policies").at(i);
    ASSERT_EQ(policy.at("vms").size(), 3u);
    for (const json& vm : policy.at("vms")) {
      EXPECT_GT(vm.at("pswpout"), 0) << policy.at("policy") << vm.at("name");
      EXPECT_GT(vm.at("pswpin"), 0) << policy.at("policy") << vm.at("name");
      EXPECT_FALSE(vm.at("blocks").empty()) << policy.at("policy") << vm.at("name");
    }
  }
  for (const char* file : {"report.html", "frames.csv", "blocks.csv", "summary.json"}) {
    EXPECT_GT(std::filesystem::file_size(out.path() + "/" + file), 0u) << file;
  }
}

// A scenario from a file, whose workloads end by themselves and say a checksum.
TEST(Lab, scenarioOfMachines_hasTheSameChecksums) {
  const TempDir folder;
  std::ofstream(folder.path() + "/small.toml")
      << "name = \"small\"\nmemory = \"512M\"\nbacking = \"ssd\"\n"
         "[[vm]]\nname = \"a\"\nram = \"256M\"\ndisk = \"2G\"\n"
         "[[vm.run]]\nworkload = \"sort-words\"\nsize = \"768M\"\niterations = 1\n"
         "[[vm]]\nname = \"b\"\nram = \"256M\"\ndisk = \"2G\"\n"
         "[[vm.run]]\nworkload = \"usemem\"\nsize = \"768M\"\nstep = \"384M\"\n"
         "start = { when = [\"a\"], phase = \"build\" }\n";
  json scenario;
  ASSERT_NO_FATAL_FAILURE(
      run_machines(folder.path() + "/small.toml", "marginal", folder.path(), &scenario));
  ASSERT_EQ(scenario.at("policies").size(), 2u);
  const json& policy = scenario.at("policies").at(1);
  EXPECT_EQ(policy.at("policy"), "marginal");
  EXPECT_TRUE(policy.at("checksums_agree"));
  for (const json& vm : policy.at("vms")) {
    EXPECT_GT(vm.at("frames_peak"), 0) << vm;
  }
}

}  // namespace
}  // namespace fallow::test
