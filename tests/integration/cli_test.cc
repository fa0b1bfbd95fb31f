// The daemon and its command line as an operator meets them: good use, bad use, exit codes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kThreeVms = R"({"node":{"total":1000},"vms":[
  {"id":"a","target":500,"used":500,"puts_total":100,"puts_succ":80,"cumul_puts_failed":20},
  {"id":"b","target":400,"used":100,"puts_total":10,"puts_succ":10,"cumul_puts_failed":0},
  {"id":"c","target":100,"used":90,"puts_total":0,"puts_succ":0,"cumul_puts_failed":0}]})";

// One line on standard error, nothing on standard output, the exit code as promised.
void expect_refused(const Outcome& outcome, int exit_code, const std::string& saying) {
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(saying));
}

std::vector<std::uint64_t> targets_of(const std::string& spec) {
  const Outcome outcome = run({bin("fallow"), "policy", "eval", spec}, kThreeVms);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<std::uint64_t> targets;
  const json answer = json::parse(outcome.out);
  for (const json& vm : answer.at("vms")) {
    targets.push_back(vm.at("target"));
    EXPECT_NE(vm.at("reason"), "");
  }
  return targets;
}

TEST(PolicyEval, documentsPolicies_giveTheKnownTargets) {
  using Targets = std::vector<std::uint64_t>;
  EXPECT_EQ(targets_of("smart-alloc:P=2,threshold=50"), (Targets{514, 387, 99}));
  EXPECT_EQ(targets_of("static-alloc"), (Targets{334, 333, 333}));
  EXPECT_EQ(targets_of("reconf-static"), (Targets{1000, 0, 0}));
  EXPECT_EQ(targets_of("greedy"), (Targets{1000, 1000, 1000}));
  EXPECT_EQ(targets_of("no-tmem"), (Targets{0, 0, 0}));
}

TEST(PolicyEval, badSpecsAndInput_areRefused) {
  const auto eval = [](const std::string& spec, const std::string& input) {
    return run({bin("fallow"), "policy", "eval", spec}, input);
  };
  for (const char* spec :
       {"clever", "smart-alloc:P=0", "smart-alloc:P=101", "smart-alloc:P=-1", "smart-alloc:P=x",
        "smart-alloc:Q=1", "smart-alloc:", "greedy:P=2", ""}) {
    expect_refused(eval(spec, kThreeVms), 2, "fallow: ");
  }
  for (
      const char* input :
      {"", "{", "[]", "{}", R"({"node":{"total":-1},"vms":[]})",
       R"({"node":{"total":1.5},"vms":[]})", R"({"node":{"total":10},"vms":[{"id":"a"}]})",
       R"({"node":{"total":10},"vms":[{"id":"a","target":1,"used":1,"puts_total":1,"puts_succ":2}]})",
       R"({"node":{"total":10},"vms":7})"}) {
    expect_refused(eval("greedy", input), 2, "fallow: ");
  }
}

TEST(Cli, wrongUse_exitsWithTwo) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"frobnicate"},
                                                    {"vm"},
                                                    {"vm", "add"},
                                                    {"vm", "add", "x"},
                                                    {"status", "--nonsense"},
                                                    {"policy", "set"},
                                                    {"config", "check"},
                                                    {}}) {
    std::vector<std::string> whole{bin("fallow")};
    whole.insert(whole.end(), arguments.begin(), arguments.end());
    EXPECT_EQ(run(whole).exit_code, 2);
  }
}

TEST(Cli, withoutADaemon_exitsWithThree) {
  const TempDir dir;
  expect_refused(run({bin("fallow"), "--socket", dir.path() + "/none.sock", "status"}), 3,
                 "none.sock");
}

TEST(Cli, helpAndVersion_exitWithZero) {
  for (const char* program : {"fallow", "fallowd", "fallow-lab", "fallow-sim", "fallow-bench"}) {
    EXPECT_EQ(run({bin(program), "--help"}).exit_code, 0) << program;
  }
  EXPECT_THAT(run({bin("fallow"), "--version"}).out, HasSubstr("0.1.0"));
}

TEST(ConfigCheck, everyError_hasItsLine) {
  const TempDir dir;
  const std::string path = dir.path() + "/bad.toml";
  std::ofstream(path) << "[node]\nmemory = \"-1\"\nmemroy = \"4G\"\n[policy]\nspec = \"clever\"\n"
                         "interval = \"1ms\"\n[nonsense]\nx = 1\n[[vm]]\nname = \"../x\"\n"
                         "size = \"10Q\"\n";
  const Outcome outcome = run({bin("fallow"), "config", "check", path});
  EXPECT_EQ(outcome.exit_code, 2);
  for (const char* line : {":2:", ":3:", ":5:", ":6:", ":7:", ":10:", ":11:"}) {
    EXPECT_THAT(outcome.err + outcome.out, HasSubstr(line));
  }
  const Outcome daemon = run({bin("fallowd"), "--config", path});
  EXPECT_EQ(daemon.exit_code, 2);
  EXPECT_THAT(daemon.err, HasSubstr(":11:"));
}

TEST(ConfigCheck, brokenToml_saysWhere) {
  const TempDir dir;
  const std::string path = dir.path() + "/bad.toml";
  std::ofstream(path) << "[node]\nmemory = = \"4G\"\n";
  EXPECT_EQ(run({bin("fallow"), "config", "check", path}).exit_code, 2);
  EXPECT_EQ(run({bin("fallow"), "config", "check", dir.path() + "/missing"}).exit_code, 2);
}

TEST(Daemon, lifeOfAVm_addShowExplainRemove) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const Outcome added = daemon.fallow({"vm", "add", "web", "--size", "256M", "--json"});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  EXPECT_TRUE(std::filesystem::is_socket(daemon.disk_socket("web")));
  const Outcome listed = daemon.fallow({"vm", "list", "--json"});
  EXPECT_EQ(json::parse(listed.out).at("vms").at(0).at("name"), "web");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"status"},
        {"vm", "list"},
        {"vm", "show", "web"},
        {"explain", "web"},
        {"policy", "show"},
        {"policy", "list"},
        {"watch", "--count", "2", "--interval", "50ms"}}) {
    for (const bool as_json : {false, true}) {
      auto whole = arguments;
      if (as_json) {
        whole.push_back("--json");
      }
      const Outcome outcome = daemon.fallow(whole);
      EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << outcome.err;
      EXPECT_NE(outcome.out, "");
      EXPECT_TRUE(!as_json || json::accept(outcome.out.substr(0, outcome.out.find('\n') + 1)) ||
                  json::accept(outcome.out));
    }
  }
  EXPECT_EQ(daemon.fallow({"vm", "remove", "web"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(daemon.disk_socket("web")));
  EXPECT_EQ(daemon.fallow({"vm", "show", "web"}).exit_code, 1);
  EXPECT_EQ(daemon.end(SIGTERM), 0);
  EXPECT_FALSE(std::filesystem::exists(daemon.control_socket()));
}

TEST(Daemon, badVms_areRefusedAndChangeNothing) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const auto vms = [&] {
    return json::parse(daemon.fallow({"vm", "list", "--json"}).out).at("vms");
  };
  const json before = vms();
  const auto add = [&](const std::string& name, const std::string& size,
                       std::vector<std::string> more = {}) {
    std::vector<std::string> whole{"vm", "add", name, "--size", size};
    whole.insert(whole.end(), more.begin(), more.end());
    return daemon.fallow(whole);
  };
  for (const char* size : {"-1", "10Q", "0", "5000", "17T", "", "1e9"}) {
    EXPECT_EQ(add("x", size).exit_code, 2) << size;
  }
  for (const char* name : {"../x", "a b", "", ".x"}) {
    EXPECT_EQ(add(name, "64M").exit_code, 2) << name;
  }
  const std::string folder = daemon.folder();
  std::ofstream(folder + "/small") << "x";
  std::ofstream(folder + "/content") << std::string(64 << 20, 'x');
  expect_refused(add("x", "64M", {"--backing", folder + "/missing"}), 2, "does not exist");
  expect_refused(add("x", "64M", {"--backing", folder + "/small"}), 2, "larger");
  expect_refused(add("x", "64M", {"--backing", folder + "/content"}), 2, "--discard-backing");
  expect_refused(add("x", "64M", {"--backing", folder}), 2, "backing file");
  std::filesystem::create_directories(folder + "/run/vm/taken.sock");
  EXPECT_NE(add("taken", "64M").exit_code, 0);
  EXPECT_EQ(vms(), before);
}

TEST(Daemon, secondVmOfANameOrFile_isRefused) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const std::string file = daemon.folder() + "/disk";
  std::ofstream(file) << "";
  std::filesystem::resize_file(file, 64 << 20);
  ASSERT_EQ(daemon.fallow({"vm", "add", "a", "--size", "64M", "--backing", file}).exit_code, 0);
  EXPECT_NE(daemon.fallow({"vm", "add", "a", "--size", "64M"}).exit_code, 0);
  expect_refused(daemon.fallow({"vm", "add", "b", "--size", "64M", "--backing", file}), 2,
                 "in use");
  // The file is free again when its VM has gone.
  ASSERT_EQ(daemon.fallow({"vm", "remove", "a"}).exit_code, 0);
  EXPECT_EQ(daemon.fallow({"vm", "add", "b", "--size", "64M", "--backing", file}).exit_code, 0);
}

TEST(Daemon, secondDaemonOnOneSocket_isRefused) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const Outcome second = run({bin("fallowd"), "--config", daemon.config_path()});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_EQ(daemon.fallow({"status"}).exit_code, 0);
}

TEST(Daemon, sockets_areTheOwnersAlone) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "a", "--size", "64M"}).exit_code, 0);
  for (const std::string& path : {daemon.control_socket(), daemon.disk_socket("a")}) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
}

TEST(Daemon, policySwitch_takesEffectAndSaysSo) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  ASSERT_EQ(daemon.fallow({"vm", "add", "a", "--size", "64M"}).exit_code, 0);
  ASSERT_EQ(daemon.fallow({"policy", "set", "no-tmem"}).exit_code, 0);
  const auto target = [&] {
    return json::parse(daemon.fallow({"vm", "list", "--json"}).out).at("vms").at(0).at("target");
  };
  EXPECT_EQ(target(), 0);
  ASSERT_EQ(daemon.fallow({"policy", "set", "greedy"}).exit_code, 0);
  EXPECT_EQ(target(), (64 << 20) / 4096);
  expect_refused(daemon.fallow({"policy", "set", "smart-alloc:P=0"}), 2, "P");
  EXPECT_THAT(daemon.fallow({"policy", "show"}).out, HasSubstr("greedy"));
}

TEST(Daemon, quotas_areSetShownAndCleared) {
  Daemon::Options options;
  options.vms = "[[quota]]\nname = \"pager\"\nmin = \"25%\"\n";
  Daemon daemon(options);  // of 64 MiB
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const Outcome added =
      daemon.fallow({"vm", "add", "a", "--size", "64M", "--max", "16M", "--weight", "200"});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const auto shown = [&] { return json::parse(daemon.fallow({"vm", "show", "a", "--json"}).out); };
  EXPECT_LE(shown().at("target"), 4096);
  EXPECT_EQ(shown().at("quota"), json::parse(R"({"min":0,"max":4096,"weight":200})"));
  EXPECT_THAT(daemon.fallow({"vm", "list"}).out, HasSubstr("16 MiB     200"));
  ASSERT_EQ(daemon.fallow({"quota", "set", "a", "--min", "8M"}).exit_code, 0);
  EXPECT_EQ(shown().at("quota"), json::parse(R"({"min":2048,"max":4096,"weight":200})"));
  EXPECT_GE(shown().at("target"), 2048);
  EXPECT_THAT(daemon.fallow({"explain", "a"}).out, HasSubstr("minimum 2048 pages"));
  const json all = json::parse(daemon.fallow({"quota", "list", "--json"}).out).at("quotas");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].at("name"), "pager");
  EXPECT_EQ(all[1].at("present"), false);
  EXPECT_EQ(all[1].at("quota").at("min"), 4096);
  expect_refused(daemon.fallow({"quota", "set", "b", "--min", "41M"}), 2,
                 "the minimums would add up to 65 MiB, and the node has 64 MiB");
  expect_refused(daemon.fallow({"quota", "set", "a", "--max", "4M"}), 2,
                 "the minimum of 8 MiB is more than the maximum of 4 MiB");
  expect_refused(daemon.fallow({"quota", "set", "a", "--weight", "0"}), 2, "from 1 to 10000");
  expect_refused(daemon.fallow({"quota", "set", "a"}), 2, "--min, --max and --weight");
  ASSERT_EQ(daemon.fallow({"quota", "clear", "a"}).exit_code, 0);
  EXPECT_EQ(shown().at("quota"), json::parse(R"({"min":0,"max":null,"weight":100})"));
  expect_refused(daemon.fallow({"quota", "clear", "a"}), 1, "'a' has no quota");
}

TEST(Daemon, configuredVms_areThereFromTheStart) {
  Daemon::Options options;
  options.vms = "[[vm]]\nname = \"a\"\nsize = \"64M\"\n[[vm]]\nname = \"b\"\nsize = \"128M\"\n";
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  EXPECT_EQ(json::parse(daemon.fallow({"vm", "list", "--json"}).out).at("vms").size(), 2u);
}

TEST(Daemon, killedAndStartedAgain_comesUpOnTheSameSockets) {
  Daemon first;
  ASSERT_TRUE(first.wait_ready()) << first.log();
  ASSERT_EQ(first.end(SIGKILL), 128 + SIGKILL);
  const Background second({bin("fallowd"), "--config", first.config_path()},
                          first.folder() + "/log2");
  bool up = false;
  for (int i = 0; i < 100 && !up; ++i) {
    up = first.fallow({"status"}).exit_code == 0;
  }
  EXPECT_TRUE(up);
  EXPECT_EQ(json::parse(first.fallow({"status", "--json"}).out).at("epoch"), 2);
}

}  // namespace
}  // namespace fallow::test
