#include "node/config.h"

#include <algorithm>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "base/toml_table.h"
#include "base/units.h"
#include "memory/arena.h"
#include "node/quota_rules.h"
#include "node/quotas.h"
#include "node/vm_rules.h"
#include "policy/policy.h"

namespace fallow::node {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::uint64_t kMemoryBytesMin = std::uint64_t{1} << 20;
constexpr std::uint64_t kMemoryBytesMax = std::uint64_t{64} << 40;
constexpr std::uint64_t kIntervalNsMin = 10'000'000;
constexpr std::uint64_t kIntervalNsMax = 3'600'000'000'000;
constexpr std::uint64_t kHistoryMax = 100'000;
// sun_path less its final 0.
constexpr std::size_t kSocketPathMax = 107;
constexpr unsigned kWorkersMax = 64;

using Errors = std::vector<TomlError>;

Result<std::uint64_t> parse_memory(const std::string& text) {
  const Result<std::uint64_t> bytes = parse_size(text);
  FALLOW_TRY(bytes);
  if (*bytes < kMemoryBytesMin || *bytes > kMemoryBytesMax || *bytes % kPageSize != 0) {
    return invalid("'" + text + "' must be from " + format_size(kMemoryBytesMin) + " to " +
                   format_size(kMemoryBytesMax) + ", in whole pages of " +
                   std::to_string(kPageSize) + " bytes");
  }
  return bytes;
}

Result<std::string> parse_folder(const std::string& text) {
  FALLOW_TRY(check_path(text));
  return text;
}

Result<std::string> parse_socket(const std::string& text) {
  FALLOW_TRY(check_path(text));
  if (text.size() > kSocketPathMax) {
    return invalid("a socket's path has at most " + std::to_string(kSocketPathMax) +
                   " letters: choose a shorter folder");
  }
  return text;
}

Result<std::string> parse_policy(const std::string& text) {
  const auto made = policy::make_policy(text);
  if (!made) {
    return made.error();
  }
  return text;
}

Result<std::uint64_t> parse_interval(const std::string& text) {
  const Result<std::uint64_t> ns = parse_duration_ns(text);
  FALLOW_TRY(ns);
  if (*ns < kIntervalNsMin || *ns > kIntervalNsMax) {
    return invalid("'" + text + "' must be from 10ms to 60m");
  }
  return ns;
}

Result<std::size_t> parse_history(const std::string& text) {
  const Result<std::uint64_t> count = parse_count(text);
  FALLOW_TRY(count);
  if (*count == 0 || *count > kHistoryMax) {
    return invalid("'" + text + "' must be from 1 to " + std::to_string(kHistoryMax));
  }
  return static_cast<std::size_t>(*count);
}

// "off", pages per second as a plain number, or bytes per second with a unit.
Result<std::uint64_t> parse_demotion(const std::string& text) {
  if (text == "off") {
    return std::uint64_t{0};
  }
  const Result<std::uint64_t> pages = parse_count(text);
  if (pages) {
    return pages;
  }
  const Result<std::uint64_t> bytes = parse_size(text);
  if (!bytes || *bytes < kPageSize) {
    return invalid("'" + text + "' must be \"off\", a number of pages per second, or a size per " +
                   "second such as \"64M\"");
  }
  return *bytes / kPageSize;
}

// "off", or how many compressed pages there may be for each frame.
Result<std::uint32_t> parse_pages_per_frame(const std::string& text) {
  if (text == "off") {
    return std::uint32_t{0};
  }
  const Result<std::uint64_t> count = parse_count(text);
  if (!count || *count == 0 || *count > memory::kCompressedPagesPerFrameMax) {
    return invalid("'" + text +
                   "' must be \"off\", or compressed pages for each frame, from 1 to " +
                   std::to_string(memory::kCompressedPagesPerFrameMax) + ", such as \"2\"");
  }
  return static_cast<std::uint32_t>(*count);
}

Result<std::uint32_t> parse_block_size(const std::string& text) {
  if (text == "512" || text == "4096") {
    return static_cast<std::uint32_t>(text == "512" ? 512 : 4096);
  }
  return invalid("'" + text + "' must be 512 or 4096");
}

// Whether there is such a group is asked where the daemon runs, not where its file is checked.
Result<std::string> parse_group(const std::string& text) {
  FALLOW_TRY(check_name(text));
  return text;
}

// "off" becomes empty.
Result<std::string> parse_listen(const std::string& text) {
  if (text == "off") {
    return std::string();
  }
  const std::size_t colon = text.rfind(':');
  const auto port = parse_count(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (!port || *port > 65535 || colon == 0) {
    return invalid("'" + text + "' must be HOST:PORT such as \"127.0.0.1:9464\", or \"off\"");
  }
  return text;
}

Result<LogLevel> parse_level(const std::string& text) {
  static const std::pair<const char*, LogLevel> kLevels[] = {{"debug", LogLevel::kDebug},
                                                             {"info", LogLevel::kInfo},
                                                             {"warning", LogLevel::kWarning},
                                                             {"error", LogLevel::kError}};
  for (const auto& [name, level] : kLevels) {
    if (text == name) {
      return level;
    }
  }
  return invalid("'" + text + "' must be debug, info, warning or error");
}

Result<unsigned> parse_workers(const std::string& text) {
  const Result<std::uint64_t> count = parse_count(text);
  if (!count || *count == 0 || *count > kWorkersMax) {
    return invalid("'" + text + "' must be from 1 to " + std::to_string(kWorkersMax));
  }
  return static_cast<unsigned>(*count);
}

void read_node(TableReader& reader, Config& config) {
  if (!reader.take<std::uint64_t>("memory", &config.memory_bytes, parse_memory)) {
    reader.missing("memory", "\"4G\"");
  }
  reader.take<std::uint32_t>("compression", &config.compressed_pages_per_frame,
                             parse_pages_per_frame);
  reader.take<std::string>("arena", &config.arena_dir, parse_folder);
  reader.take<std::string>("run_dir", &config.run_dir, parse_folder);
  reader.take<unsigned>("workers", &config.workers, parse_workers);
  config.control_socket = config.run_dir + "/control.sock";
  if (!reader.take<std::string>("control_socket", &config.control_socket, parse_socket)) {
    const auto fits = parse_socket(config.control_socket);
    if (!fits) {
      reader.error(reader.table(), "run_dir: " + fits.error().text);
    }
  }
}

void read_policy(TableReader& reader, Config& config) {
  reader.take<std::string>("spec", &config.policy_spec, parse_policy);
  reader.take<std::uint64_t>("interval", &config.interval_ns, parse_interval);
  reader.take<std::size_t>("history", &config.history, parse_history);
}

void read_device(TableReader& reader, Config& config) {
  reader.take<std::string>("backing_dir", &config.backing_dir, parse_folder);
  reader.take<DiskSpeed>("backing_speed", &config.backing_speed, DiskSpeed::parse);
  reader.take<std::uint64_t>("demotion", &config.demotion_pages_per_second, parse_demotion);
  reader.take<std::uint32_t>("block_size", &config.block_size, parse_block_size);
  reader.take<std::string>("socket_group", &config.socket_group, parse_group);
}

// "off" becomes empty.
Result<std::string> parse_ring_socket(const std::string& text) {
  return text == "off" ? Result<std::string>(std::string()) : parse_socket(text);
}

void read_ring(TableReader& reader, Config& config) {
  config.ring_socket = config.run_dir + "/ring.sock";
  reader.take<std::string>("socket", &config.ring_socket, parse_ring_socket);
  reader.take<std::string>("socket_group", &config.ring_socket_group, parse_group);
  reader.take<unsigned>("workers", &config.ring_workers, parse_workers);
}

void read_metrics(TableReader& reader, Config& config) {
  reader.take<std::string>("listen", &config.metrics_listen, parse_listen);
}

void read_log(TableReader& reader, Config& config) {
  reader.take<LogLevel>("level", &config.log_level, parse_level);
}

// Of any name.
QuotaRequest read_quota_words(TableReader& reader) {
  QuotaRequest quota;
  reader.take<std::string>("min", &quota.min, parse_quota_min);
  reader.take<std::string>("max", &quota.max, parse_quota_max);
  reader.take<std::uint32_t>("weight", &quota.weight, parse_quota_weight);
  return quota;
}

void read_quota(TableReader& reader, Config& config) {
  NamedQuota quota;
  const auto parse_name = [&](const std::string& text) -> Result<std::string> {
    FALLOW_TRY(check_name(text));
    for (const VmRequest& vm : config.vms) {
      if (vm.name == text) {
        return invalid("VM '" + text + "' has a [[vm]]: write its min, max and weight there");
      }
    }
    for (const NamedQuota& other : config.quotas) {
      if (other.name == text) {
        return invalid("there already is a quota of '" + text + "' above: write one of them");
      }
    }
    return text;
  };
  if (!reader.take<std::string>("name", &quota.name, parse_name)) {
    reader.missing("name", "\"client1\"");
  }
  quota.request = read_quota_words(reader);
  config.quotas.push_back(quota);
}

void read_vm(TableReader& reader, Config& config) {
  VmRequest vm;
  const auto parse_name = [&](const std::string& text) -> Result<std::string> {
    FALLOW_TRY(check_name(text));
    for (const VmRequest& other : config.vms) {
      if (other.name == text) {
        return invalid("there already is a VM '" + text + "' above: choose another name");
      }
    }
    return text;
  };
  const auto parse_backing = [&](const std::string& text) -> Result<std::string> {
    FALLOW_TRY(check_path(text));
    for (const VmRequest& other : config.vms) {
      if (other.backing_path == text) {
        return invalid("VM '" + other.name + "' has the backing file '" + text +
                       "' already: each VM needs its own");
      }
    }
    return text;
  };
  const auto parse_compress = [&](const std::string& text) -> Result<tmem::Compression> {
    const auto compression = parse_compression(text);
    if (compression && *compression != tmem::Compression::kOff &&
        config.compressed_pages_per_frame == 0) {
      return invalid("nothing can be compressed while [node] compression is \"off\"");
    }
    return compression;
  };
  if (!reader.take<std::string>("name", &vm.name, parse_name)) {
    reader.missing("name", "\"vm1\"");
  }
  if (!reader.take<std::uint64_t>("size", &vm.size_bytes, parse_vm_size)) {
    reader.missing("size", "\"2G\"");
  }
  reader.take<std::string>("backing", &vm.backing_path, parse_backing);
  reader.take_flag("discard_backing", &vm.discard_backing);
  reader.take<tmem::Compression>("compress", &vm.compression, parse_compress);
  vm.quota = read_quota_words(reader);
  config.vms.push_back(vm);
}

using Section = void (*)(TableReader& reader, Config& config);

const std::vector<std::pair<std::string, Section>>& sections() {
  static const std::vector<std::pair<std::string, Section>> all = {
      {"node", read_node}, {"policy", read_policy},   {"device", read_device},
      {"ring", read_ring}, {"metrics", read_metrics}, {"log", read_log}};
  return all;
}

void read_section(const toml::table& root, const std::string& name, Section read,
                  ConfigReading& reading) {
  static const toml::table kEmpty;
  const toml::node* node = root.get(name);
  if (node != nullptr && !node->is_table()) {
    reading.errors.push_back(
        {node->source().begin.line, "'" + name + "' must be a table: write [" + name + "]"});
    return;
  }
  TableReader reader(node == nullptr ? kEmpty : *node->as_table(), "[" + name + "]",
                     reading.errors);
  read(reader, reading.config);
  reader.refuse_unknown_keys();
}

// Tables that may stand more than once.
struct Tables {
  const char* name;
  const char* plural;
  std::size_t count_max;
  Section read;
};

constexpr Tables kVmTables = {"vm", "VMs", kVmsMax, read_vm};
constexpr Tables kQuotaTables = {"quota", "quotas", Quotas::kQuotasMax, read_quota};

void read_tables(const toml::table& root, const Tables& tables, ConfigReading& reading) {
  TableReader top(root, "the file", reading.errors);
  for (const toml::table* table : top.tables(tables.name, tables.count_max, tables.plural)) {
    TableReader reader(*table, "[[" + std::string(tables.name) + "]]", reading.errors);
    tables.read(reader, reading.config);
    reader.refuse_unknown_keys();
  }
}

// Whether each is right in itself, and all minimums fit into the node. Where other errors are,
// there may be nothing to tell it by.
void check_quotas(const toml::table& root, ConfigReading& reading) {
  if (!reading.errors.empty()) {
    return;
  }
  Quotas quotas(reading.config.memory_bytes / kPageSize);
  const auto check = [&](const char* tables, std::size_t i, const std::string& name,
                         const QuotaRequest& request) {
    const Status set =
        says_nothing(request) ? Status() : quotas.set(name, request, Quotas::Origin::kFile);
    if (!set) {
      const toml::node& table = *root.get(tables)->as_array()->get(i);
      reading.errors.push_back(
          {table.source().begin.line, "quota of '" + name + "': " + set.error().text});
    }
  };
  for (std::size_t i = 0; i < reading.config.vms.size(); ++i) {
    check("vm", i, reading.config.vms[i].name, reading.config.vms[i].quota);
  }
  for (std::size_t i = 0; i < reading.config.quotas.size(); ++i) {
    check("quota", i, reading.config.quotas[i].name, reading.config.quotas[i].request);
  }
}

void refuse_unknown_sections(const toml::table& root, Errors& errors) {
  std::set<std::string> known = {"vm", "quota"};
  for (const auto& [name, read] : sections()) {
    known.insert(name);
  }
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (!known.contains(name)) {
      errors.push_back({key.source().begin.line, std::string("unknown ") +
                                                     (node.is_table() ? "table" : "key") + " '" +
                                                     name + "': " + suggestion(name, known)});
    }
  }
}

}  // namespace

unsigned default_workers() {
  return std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
}

ConfigReading read_config(std::string_view text) {
  ConfigReading reading;
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    reading.errors.push_back({std::max<unsigned>(parsed.error().source().begin.line, 1),
                              "not TOML: " + std::string(parsed.error().description())});
    return reading;
  }
  const toml::table& root = parsed.table();
  refuse_unknown_sections(root, reading.errors);
  for (const auto& [name, read] : sections()) {
    read_section(root, name, read, reading);
  }
  read_tables(root, kVmTables, reading);
  read_tables(root, kQuotaTables, reading);
  check_quotas(root, reading);
  sort_by_line(reading.errors);
  return reading;
}

Result<ConfigReading> read_config_file(const std::string& path) {
  const Result<std::string> text = read_text_file(path, kFileBytesMax);
  FALLOW_TRY(text);
  return read_config(*text);
}

Result<Config> load_config(const std::string& path) {
  Result<ConfigReading> reading = read_config_file(path);
  FALLOW_TRY(reading);
  if (reading->errors.empty()) {
    return std::move(reading->config);
  }
  return invalid(error_lines(path, reading->errors));
}

}  // namespace fallow::node
