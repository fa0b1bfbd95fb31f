#include "cli/command_line.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

namespace fallow::cli {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

Command parsed(const Words& words) {
  auto command = parse_command_line(words);
  EXPECT_TRUE(command.ok()) << command.error().text;
  return command.ok() ? *command : Command{};
}

std::string error_of(const Words& words) {
  const auto command = parse_command_line(words);
  EXPECT_FALSE(command.ok());
  if (command.ok()) {
    return "";
  }
  EXPECT_EQ(command.error().code, ErrorCode::kInvalid);
  return command.error().text;
}

TEST(ParseCommandLine, EachCommand_isKnown) {
  EXPECT_EQ(parsed({"status"}).action, Action::kStatus);
  EXPECT_EQ(parsed({"vm", "list"}).action, Action::kVmList);
  EXPECT_EQ(parsed({"vm", "show", "a"}).name, "a");
  EXPECT_EQ(parsed({"policy", "show"}).action, Action::kPolicyShow);
  EXPECT_EQ(parsed({"policy", "list"}).action, Action::kPolicyList);
  EXPECT_EQ(parsed({"policy", "set", "greedy"}).spec, "greedy");
  EXPECT_EQ(parsed({"policy", "eval", "greedy"}).action, Action::kPolicyEval);
  EXPECT_EQ(parsed({"explain", "a"}).action, Action::kExplain);
  EXPECT_EQ(parsed({"config", "check", "f"}).file, "f");
  EXPECT_EQ(parsed({"watch", "--count", "3", "--interval", "250ms"}).watch_interval_ns,
            250'000'000u);
}

TEST(ParseCommandLine, Record_isReadWhole) {
  const Command command = parsed({"record", "f", "--for", "30s"});
  EXPECT_EQ(command.action, Action::kRecord);
  EXPECT_EQ(command.file, "f");
  EXPECT_EQ(command.record_ns, 30'000'000'000u);
  EXPECT_EQ(parsed({"record", "f"}).record_ns, 0u);
  EXPECT_THAT(error_of({"record", "f", "--for", "soon"}), HasSubstr("--for"));
  EXPECT_THAT(error_of({"record", "f", "--for", "0s"}), HasSubstr("--for"));
}

TEST(ParseCommandLine, VmAdd_isReadWhole) {
  const Command command = parsed({"vm", "add", "a", "--size", "1G", "--backing", "/x/y",
                                  "--discard-backing", "--compress", "lz4"});
  EXPECT_EQ(command.action, Action::kVmAdd);
  EXPECT_EQ(command.vm.name, "a");
  EXPECT_EQ(command.vm.size_bytes, std::uint64_t{1} << 30);
  EXPECT_EQ(command.vm.backing_path, "/x/y");
  EXPECT_TRUE(command.vm.discard_backing);
  EXPECT_EQ(command.vm.compression, tmem::Compression::kLz4);
}

TEST(ParseCommandLine, Quota_isReadWhole) {
  const Command add =
      parsed({"vm", "add", "a", "--size", "1G", "--min", "10%", "--max", "64M", "--weight", "200"});
  EXPECT_EQ(add.vm.quota, (node::QuotaRequest{"10%", "64M", 200}));
  const Command set = parsed({"quota", "set", "a", "--max", "none"});
  EXPECT_EQ(set.action, Action::kQuotaSet);
  EXPECT_EQ(set.name, "a");
  EXPECT_EQ(set.quota, (node::QuotaRequest{"", "none", 0}));
  EXPECT_EQ(parsed({"quota", "list"}).action, Action::kQuotaList);
  EXPECT_EQ(parsed({"quota", "clear", "a"}).action, Action::kQuotaClear);
}

TEST(ParseCommandLine, BadQuotas_areRefused) {
  EXPECT_EQ(error_of({"quota", "set", "a"}), "give at least one of --min, --max and --weight");
  EXPECT_THAT(error_of({"quota", "set", "a", "--min", "10"}), HasSubstr("--min: '10' must be"));
  EXPECT_THAT(error_of({"quota", "set", "a", "--min", ""}), HasSubstr("--min: '' must be"));
  EXPECT_THAT(error_of({"quota", "set", "a", "--min", "none"}), HasSubstr("--min: 'none'"));
  EXPECT_THAT(error_of({"quota", "set", "a", "--max", "101%"}), HasSubstr("--max: '101%'"));
  EXPECT_THAT(error_of({"quota", "set", "a", "--weight", "0"}),
              HasSubstr("--weight: '0' must be a whole number from 1 to 10000"));
  EXPECT_THAT(error_of({"quota", "set", "../a", "--weight", "5"}), HasSubstr("'../a'"));
  EXPECT_THAT(error_of({"vm", "add", "a", "--size", "1G", "--weight", "x"}),
              HasSubstr("--weight: 'x'"));
}

TEST(ParseCommandLine, UnknownCompression_isRefused) {
  const auto command = parse_command_line({"vm", "add", "a", "--size", "1G", "--compress", "zip"});
  ASSERT_FALSE(command.ok());
  EXPECT_THAT(command.error().text, HasSubstr("--compress: 'zip'"));
}

TEST(ParseCommandLine, RelativeBacking_becomesAbsolute) {
  const Command command = parsed({"vm", "add", "a", "--size", "1G", "--backing", "y"});
  EXPECT_EQ(command.vm.backing_path, (std::filesystem::current_path() / "y").string());
}

TEST(ParseCommandLine, VmRemove_forceIsAsked) {
  EXPECT_EQ(parsed({"vm", "remove", "a"}).remove_mode, node::RemoveMode::kIfIdle);
  EXPECT_EQ(parsed({"vm", "remove", "a", "--force"}).remove_mode, node::RemoveMode::kForce);
}

TEST(ParseCommandLine, JsonAndSocket_anywhere) {
  for (const Words& words : {Words{"--json", "--socket", "/s", "vm", "list"},
                             Words{"vm", "--json", "list", "--socket", "/s"},
                             Words{"vm", "list", "--socket=/s", "--json"}}) {
    const Command command = parsed(words);
    EXPECT_EQ(command.form, Form::kJson);
    EXPECT_EQ(command.socket_path, "/s");
  }
}

TEST(ParseCommandLine, Socket_fromTheEnvironmentUnlessGiven) {
  ::unsetenv("FALLOW_SOCKET");
  EXPECT_EQ(parsed({"status"}).socket_path, "/run/fallow/control.sock");
  ::setenv("FALLOW_SOCKET", "/e", 1);
  EXPECT_EQ(parsed({"status"}).socket_path, "/e");
  EXPECT_EQ(parsed({"status", "--socket", "/s"}).socket_path, "/s");
  ::unsetenv("FALLOW_SOCKET");
}

TEST(ParseCommandLine, HelpAndVersion_arePrinted) {
  EXPECT_THAT(parsed({"--help"}).text, HasSubstr("Exit codes"));
  EXPECT_THAT(parsed({"vm", "add", "--help"}).text, HasSubstr("--discard-backing"));
  EXPECT_THAT(parsed({"--version"}).text, testing::StartsWith("fallow 0."));
}

TEST(ParseCommandLine, WrongUse_refused) {
  EXPECT_FALSE(error_of({}).empty());
  EXPECT_FALSE(error_of({"vm"}).empty());
  EXPECT_THAT(error_of({"vm", "frob"}), HasSubstr("'frob'"));
  EXPECT_THAT(error_of({"frobnicate"}), HasSubstr("frobnicate"));
  EXPECT_THAT(error_of({"status", "--frob"}), HasSubstr("--frob"));
  EXPECT_THAT(error_of({"vm", "add", "a"}), HasSubstr("--size"));
  EXPECT_FALSE(error_of({"vm", "add", "--size", "1G"}).empty());
  EXPECT_FALSE(error_of({"vm", "show"}).empty());
  EXPECT_FALSE(error_of({"policy", "set"}).empty());
  EXPECT_FALSE(error_of({"watch", "--count", "-1"}).empty());
  EXPECT_FALSE(error_of({"watch", "--count", "0"}).empty());
  EXPECT_FALSE(error_of({"watch", "--interval", "1"}).empty());
  EXPECT_FALSE(error_of({"watch", "--interval", "1ms"}).empty());
}

TEST(ParseCommandLine, BackingSpeed_isTheDisksUnlessGiven) {
  const Words run{"run", "--ram", "64M", "--backing-speed", "hdd", "--", "true"};
  EXPECT_EQ(parsed(run).run.pager.store.backing_speed.described(), "hdd (emulated)");
  EXPECT_FALSE(parsed({"run", "--ram", "64M", "true"}).run.pager.store.backing_speed.emulated());
  Words pager{"pager", "--socket", "/s/a", "--mem", "/m", "--ram", "64M"};
  EXPECT_FALSE(parsed(pager).pager.backing_speed.emulated());
  pager.insert(pager.end(), {"--backing-speed", "latency=1ms,bandwidth=1G"});
  EXPECT_EQ(parsed(pager).pager.backing_speed.spec(), "latency=1ms,bandwidth=1G");
  EXPECT_THAT(error_of({"run", "--ram", "64M", "--backing-speed", "fast", "true"}),
              HasSubstr("--backing-speed: disk speed 'fast' is unknown"));
  pager.back() = "latency=1ms";
  EXPECT_THAT(error_of(pager), HasSubstr("--backing-speed: "));
}

TEST(ParseCommandLine, Demotion_isANumberOrOff) {
  const auto run = [](const std::string& rate) {
    return Words{"run", "--ram", "64M", "--demotion", rate, "true"};
  };
  EXPECT_EQ(parsed({"run", "--ram", "64M", "true"}).run.pager.demotion_pages_per_second, 2000u);
  EXPECT_EQ(parsed(run("off")).run.pager.demotion_pages_per_second, 0u);
  EXPECT_EQ(parsed(run("1000000")).run.pager.demotion_pages_per_second, 1'000'000u);
  for (const char* rate : {"0", "-1", "1000001", "fast", "10/s", ""}) {
    EXPECT_THAT(error_of(run(rate)), HasSubstr("--demotion")) << rate;
  }
  Words pager{"pager", "--socket", "/s/a", "--mem", "/m", "--ram", "64M"};
  EXPECT_EQ(parsed(pager).pager.demotion_pages_per_second, 2000u);
  pager.insert(pager.end(), {"--demotion", "off"});
  EXPECT_EQ(parsed(pager).pager.demotion_pages_per_second, 0u);
}

TEST(ParseCommandLine, BadSizes_refused) {
  for (const char* size : {"-1", "10Q", "0", "4095", "17T", "", "1e30"}) {
    EXPECT_FALSE(error_of({"vm", "add", "a", std::string("--size=") + size}).empty()) << size;
  }
}

TEST(ParseCommandLine, BadNames_refused) {
  for (const char* name : {"../a", "a b", "a/b", "\n"}) {
    EXPECT_THAT(error_of({"vm", "show", name}), HasSubstr("letters")) << name;
  }
}

}  // namespace
}  // namespace fallow::cli
