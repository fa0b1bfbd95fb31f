#include "node/config.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/temp_dir.h"

namespace fallow::node {
namespace {

using testing::HasSubstr;

// The only error of `toml`.
TomlError error_of(const std::string& toml) {
  const ConfigReading reading = read_config(toml);
  EXPECT_EQ(reading.errors.size(), 1u) << toml;
  if (reading.errors.size() != 1) {
    return {};
  }
  EXPECT_EQ(reading.errors[0].text.find('\n'), std::string::npos);
  return reading.errors[0];
}

// The only error of a file whose third line is `line` in table [section].
std::string error_in(const std::string& section, const std::string& line) {
  std::string toml = "node.memory = \"1G\"\n[" + section + "]\n" + line + "\n";
  if (section == "node") {
    toml = "[node]\nmemory = \"1G\"\n" + line + "\n";
  }
  const TomlError error = error_of(toml);
  EXPECT_EQ(error.line, 3u) << toml;
  return error.text;
}

TEST(ReadConfig, OnlyMemory_restIsDefault) {
  const ConfigReading reading = read_config("[node]\nmemory = \"4G\"\n");
  ASSERT_TRUE(reading.errors.empty()) << reading.errors[0].text;
  EXPECT_EQ(reading.config.memory_bytes, std::uint64_t{4} << 30);
  EXPECT_EQ(reading.config.control_socket, "/run/fallow/control.sock");
  EXPECT_EQ(reading.config.interval_ns, 1'000'000'000u);
  EXPECT_EQ(reading.config.demotion_pages_per_second, 0u);
  EXPECT_FALSE(reading.config.backing_speed.emulated());
  EXPECT_GE(reading.config.workers, 1u);
  EXPECT_LE(reading.config.workers, 4u);
}

TEST(ReadConfig, EveryKey_isRead) {
  const ConfigReading reading = read_config(R"(
[node]
memory = "64M"
arena = "/dev/hugepages"
run_dir = "/tmp/f"
workers = 7
[policy]
spec = "smart-alloc:P=6,threshold=10"
interval = "250ms"
history = 5
[device]
backing_dir = "/tmp/b"
backing_speed = "hdd"
demotion = "64M"
block_size = 512
socket_group = "kvm"
[metrics]
listen = "[::1]:80"
[log]
level = "debug"
[[vm]]
name = "a"
size = "1G"
backing = "/tmp/a.img"
discard_backing = true
[[vm]]
name = "b"
size = 8192
)");
  ASSERT_TRUE(reading.errors.empty()) << reading.errors[0].text;
  const Config& config = reading.config;
  EXPECT_EQ(config.arena_dir, "/dev/hugepages");
  EXPECT_EQ(config.control_socket, "/tmp/f/control.sock");
  EXPECT_EQ(config.workers, 7u);
  EXPECT_EQ(config.policy_spec, "smart-alloc:P=6,threshold=10");
  EXPECT_EQ(config.interval_ns, 250'000'000u);
  EXPECT_EQ(config.history, 5u);
  EXPECT_EQ(config.backing_dir, "/tmp/b");
  EXPECT_EQ(config.backing_speed.described(), "hdd (emulated)");
  EXPECT_EQ(config.demotion_pages_per_second, 16384u);
  EXPECT_EQ(config.block_size, 512u);
  EXPECT_EQ(config.socket_group, "kvm");
  EXPECT_EQ(config.metrics_listen, "[::1]:80");
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  ASSERT_EQ(config.vms.size(), 2u);
  EXPECT_EQ(config.vms[0].backing_path, "/tmp/a.img");
  EXPECT_TRUE(config.vms[0].discard_backing);
  EXPECT_EQ(config.vms[1].size_bytes, 8192u);
}

TEST(ReadConfig, Compression_forms_areRead) {
  const auto pages = [](const std::string& value) {
    return read_config("[node]\nmemory = \"4G\"\ncompression = " + value)
        .config.compressed_pages_per_frame;
  };
  EXPECT_EQ(pages("\"off\""), 0u);
  EXPECT_EQ(pages("\"2\""), 2u);
  EXPECT_EQ(pages("16"), 16u);
  const auto vm = read_config(
      "[node]\nmemory = \"4G\"\ncompression = 1\n[[vm]]\nname = \"a\"\nsize = \"1G\"\n"
      "compress = \"lz4\"\n");
  ASSERT_TRUE(vm.errors.empty());
  EXPECT_EQ(vm.config.vms[0].compression, tmem::Compression::kLz4);
}

constexpr char kHundred[] = "node.memory = \"100M\"\n";

TEST(ReadConfig, Quotas_areRead) {
  const auto reading = read_config(std::string(kHundred) + R"(
[[vm]]
name = "a"
size = "1G"
min = "10%"
max = "64M"
weight = 200
[[quota]]
name = "pager"
max = "none"
weight = "7"
)");
  ASSERT_TRUE(reading.errors.empty()) << reading.errors[0].text;
  EXPECT_EQ(reading.config.vms[0].quota, (QuotaRequest{"10%", "64M", 200}));
  ASSERT_EQ(reading.config.quotas.size(), 1u);
  EXPECT_EQ(reading.config.quotas[0].name, "pager");
  EXPECT_EQ(reading.config.quotas[0].request, (QuotaRequest{"", "none", 7}));
}

TEST(ReadConfig, BadQuotas_areToldWithTheirLine) {
  const auto error = [](const std::string& lines) {
    const TomlError found = error_of(std::string(kHundred) + lines);
    return std::to_string(found.line) + ": " + found.text;
  };
  const std::string bound =
      " must be a size in whole pages of 4096 bytes such as \"64M\", or a percentage of the node "
      "up "
      "to 100 such as \"10%\"";
  EXPECT_EQ(error("[[vm]]\nname = \"a\"\nsize = \"1G\"\nmin = \"101%\"\n"),
            "5: min: '101%'" + bound);
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\nmax = 5\n"), "4: max: '5'" + bound + ", or \"none\"");
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\nweight = 0\n"),
            "4: weight: '0' must be a whole number from 1 to 10000; 100 is what others have");
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\nmin = \"2M\"\nmax = \"1M\"\n"),
            "2: quota of 'a': the minimum of 2 MiB is more than the maximum of 1 MiB: lower it, or "
            "raise the maximum");
  EXPECT_EQ(
      error("[[vm]]\nname = \"a\"\nsize = \"1G\"\nmin = \"60%\"\n"
            "[[quota]]\nname = \"b\"\nmin = \"50M\"\n"),
      "6: quota of 'b': the minimums would add up to 110 MiB, and the node has 100 MiB: ask for "
      "less, or lower another one (fallow quota list)");
  EXPECT_EQ(error("[[quota]]\nmin = \"1M\"\n"),
            "2: [[quota]] needs a key 'name', for example name = \"client1\"");
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\n[[quota]]\nname = \"a\"\n"),
            "5: name: there already is a quota of 'a' above: write one of them");
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\n[[vm]]\nname = \"a\"\nsize = \"1G\"\n"),
            "3: name: VM 'a' has a [[vm]]: write its min, max and weight there");
  EXPECT_EQ(error("[quota]\nname = \"a\"\n"), "2: 'quota' must be tables: write [[quota]]");
  EXPECT_EQ(error("[[quota]]\nname = \"a\"\nmaximum = 1\n"),
            "4: unknown key 'maximum' in [[quota]]: known here: max, min, name, weight");
}

TEST(ReadConfig, Demotion_forms_areRead) {
  const auto rate = [](const std::string& value) {
    return read_config("[node]\nmemory = \"4G\"\n[device]\ndemotion = " + value)
        .config.demotion_pages_per_second;
  };
  EXPECT_EQ(rate("\"off\""), 0u);
  EXPECT_EQ(rate("\"4096\""), 4096u);
  EXPECT_EQ(rate("4096"), 4096u);
  EXPECT_EQ(rate("\"1M\""), 256u);
}

TEST(ReadConfig, MetricsOff_listensNowhere) {
  const auto reading = read_config("[node]\nmemory = \"4G\"\n[metrics]\nlisten = \"off\"");
  EXPECT_TRUE(reading.errors.empty());
  EXPECT_EQ(reading.config.metrics_listen, "");
}

TEST(ReadConfig, Empty_asksForMemory) {
  EXPECT_THAT(error_of("").text, HasSubstr("[node] needs a key 'memory'"));
}

TEST(ReadConfig, NotToml_saysWhere) {
  const TomlError error = error_of("[node]\nmemory = \n");
  EXPECT_EQ(error.line, 2u);
  EXPECT_THAT(error.text, HasSubstr("not TOML"));
}

TEST(ReadConfig, UnknownKey_suggestsTheNearest) {
  EXPECT_THAT(error_in("policy", "intervall = \"1s\""), HasSubstr("did you mean 'interval'?"));
  EXPECT_THAT(error_in("policy", "colour = 1"), HasSubstr("known here: history, interval, spec"));
  EXPECT_THAT(error_in("node", "arean = \"/x\""), HasSubstr("did you mean 'arena'?"));
}

TEST(ReadConfig, UnknownTable_suggestsTheNearest) {
  EXPECT_THAT(error_of("[node]\nmemory = \"1G\"\n[polcy]\n").text,
              HasSubstr("unknown table 'polcy': did you mean 'policy'?"));
  EXPECT_THAT(error_of("memory = 1\n[node]\nmemory = \"1G\"\n").text,
              HasSubstr("unknown key 'memory'"));
}

TEST(ReadConfig, BadMemory_refused) {
  for (const char* size : {"\"-1\"", "\"10Q\"", "-1", "0", "\"\"", "\"1000T\"", "4097", "\"8K\"",
                           "true", "1.5", "[1]"}) {
    EXPECT_THAT(error_of(std::string("[node]\nmemory = ") + size).text, HasSubstr("memory"))
        << size;
  }
}

TEST(ReadConfig, BadValues_refusedWithTheirLine) {
  EXPECT_THAT(error_in("node", "arena = \"relative\""), HasSubstr("must be absolute"));
  EXPECT_THAT(error_in("node", "control_socket = \"/" + std::string(120, 'x') + "\""),
              HasSubstr("at most 107"));
  EXPECT_THAT(error_in("node", "workers = 0"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(error_in("node", "workers = 65"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(error_in("ring", "workers = \"many\""), HasSubstr("from 1 to 64"));
  EXPECT_THAT(error_in("policy", "spec = \"clever\""), HasSubstr("no policy is called 'clever'"));
  EXPECT_THAT(error_in("policy", "spec = \"smart-alloc:P=0\""), HasSubstr("above 0"));
  EXPECT_THAT(error_in("policy", "interval = \"5ms\""), HasSubstr("from 10ms"));
  EXPECT_THAT(error_in("policy", "interval = \"2h\""), HasSubstr("interval"));
  EXPECT_THAT(error_in("policy", "interval = 1"), HasSubstr("interval"));
  EXPECT_THAT(error_in("policy", "history = 0"), HasSubstr("from 1 to"));
  EXPECT_THAT(error_in("policy", "history = -5"), HasSubstr("history"));
  EXPECT_THAT(error_in("device", "demotion = \"fast\""), HasSubstr("\"off\""));
  EXPECT_THAT(error_in("device", "backing_speed = \"tape\""), HasSubstr("disk, hdd, ssd"));
  EXPECT_THAT(error_in("device", "demotion = -1"), HasSubstr("\"off\""));
  EXPECT_THAT(error_in("device", "block_size = 1024"), HasSubstr("512 or 4096"));
  EXPECT_THAT(error_in("device", "socket_group = \"\""), HasSubstr("socket_group"));
  EXPECT_THAT(error_in("metrics", "listen = \"9464\""), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error_in("metrics", "listen = \"h:70000\""), HasSubstr("HOST:PORT"));
  EXPECT_THAT(error_in("log", "level = \"loud\""), HasSubstr("debug, info, warning or error"));
}

TEST(ReadConfig, TableIsAValue_refused) {
  EXPECT_THAT(error_of("policy = 5\n[node]\nmemory = \"1G\"").text, HasSubstr("write [policy]"));
  EXPECT_THAT(error_of("vm = 5\n[node]\nmemory = \"1G\"").text, HasSubstr("write [[vm]]"));
  EXPECT_THAT(error_of("[node]\nmemory = \"1G\"\n[vm]\nname = \"a\"").text,
              HasSubstr("write [[vm]]"));
}

TEST(ReadConfig, BadCompression_refused) {
  for (const std::string value : {"\"0\"", "17", "\"lz4\"", "\"-1\""}) {
    EXPECT_THAT(error_of("[node]\nmemory = \"1G\"\ncompression = " + value).text,
                HasSubstr("from 1 to 16"));
  }
}

std::string vm_error(const std::string& body) {
  return error_of("[node]\nmemory = \"1G\"\n[[vm]]\n" + body).text;
}

TEST(ReadConfig, BadVm_refused) {
  EXPECT_THAT(vm_error("size = \"1G\""), HasSubstr("needs a key 'name'"));
  EXPECT_THAT(vm_error("name = \"a\""), HasSubstr("needs a key 'size'"));
  EXPECT_THAT(vm_error("name = \"../a\"\nsize = \"1G\""), HasSubstr("letters"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"10Q\""), HasSubstr("10Q"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = 4095"), HasSubstr("multiple"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"17T\""), HasSubstr("largest"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\nbacking = \"x\""), HasSubstr("absolute"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\ndiscard_backing = \"yes\""),
              HasSubstr("true or false"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\ncompress = \"zip\""), HasSubstr("lz4"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\ncompress = \"lz4\""),
              HasSubstr("[node] compression"));
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\nsise = 1"), HasSubstr("'size'"));
}

TEST(ReadConfig, VmTwice_refused) {
  const std::string vm = "[[vm]]\nname = \"a\"\nsize = \"1G\"\n";
  EXPECT_THAT(error_of("[node]\nmemory = \"1G\"\n" + vm + vm).text, HasSubstr("already is a VM"));
}

TEST(ReadConfig, BackingTwice_refused) {
  EXPECT_THAT(vm_error("name = \"a\"\nsize = \"1G\"\nbacking = \"/x\"\n[[vm]]\nname = \"b\"\n"
                       "size = \"1G\"\nbacking = \"/x\"\n"),
              HasSubstr("each VM needs its own"));
}

TEST(ReadConfig, ManyErrors_allToldByLine) {
  const ConfigReading reading =
      read_config("[log]\nlevel = \"x\"\n[node]\nmemory = \"-1\"\n[policy]\nspec = \"y\"\nz = 1\n");
  ASSERT_EQ(reading.errors.size(), 4u);
  EXPECT_EQ(reading.errors[0].line, 2u);
  EXPECT_EQ(reading.errors[1].line, 4u);
  EXPECT_EQ(reading.errors[2].line, 6u);
  EXPECT_EQ(reading.errors[3].line, 7u);
}

TEST(LoadConfig, Errors_haveFileAndLine) {
  const TempDir folder;
  const std::string path = folder.path() + "/f.toml";
  std::ofstream(path) << "[node]\nmemory = \"-1\"\n";
  const auto config = load_config(path);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(config.error().text, HasSubstr(path + ":2: memory: size '-1'"));
}

TEST(LoadConfig, MissingFile_isInvalid) {
  EXPECT_EQ(load_config("/nowhere/f.toml").error().code, ErrorCode::kInvalid);
}

TEST(LoadConfig, PackagedExample_isValid) {
  const auto config = load_config(FALLOW_EXAMPLE_CONFIG);
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_TRUE(config->vms.empty());
}

// Every commented-out key of the example, but for the comment sign, is valid too.
TEST(LoadConfig, PackagedExampleUncommented_isValid) {
  std::ifstream file(FALLOW_EXAMPLE_CONFIG);
  std::string toml;
  for (std::string line; std::getline(file, line);) {
    const bool is_key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    toml += (is_key ? line.substr(1) : line) + "\n";
  }
  const ConfigReading reading = read_config(toml);
  ASSERT_TRUE(reading.errors.empty()) << reading.errors[0].text;
  EXPECT_EQ(reading.config.vms.size(), 1u);
}

}  // namespace
}  // namespace fallow::node
