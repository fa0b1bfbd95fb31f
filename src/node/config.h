// The daemon's configuration: one TOML file, checked whole. Either everything in it is valid, or
// every error is told with its line and what mends it; nobody starts with half of it.
// packaging/fallowd.toml shows every key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk_speed.h"
#include "base/log.h"
#include "base/result.h"
#include "base/toml_error.h"
#include "node/views.h"

namespace fallow::node {

// One for each processor that the process may use, up to four.
unsigned default_workers();

struct NamedQuota {
  std::string name{};
  QuotaRequest request{};
};

struct Config {
  // [node]
  std::uint64_t memory_bytes = 0;                // what this host contributes
  std::uint32_t compressed_pages_per_frame = 0;  // 0: off
  std::string arena_dir = "/dev/shm";
  std::string run_dir = "/run/fallow";
  std::string control_socket{};  // run_dir/control.sock when the file does not say
  unsigned workers = default_workers();
  // [policy]
  std::string policy_spec = "smart-alloc:P=2";
  std::uint64_t interval_ns = 1'000'000'000;
  std::size_t history = 600;  // decisions remembered
  // [device]
  std::string backing_dir = "/var/lib/fallow";
  DiskSpeed backing_speed{};                    // of each VM's backing file
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
  std::uint32_t block_size = 4096;
  std::string socket_group{};  // may open the VMs' sockets; empty: only the daemon's user
  // [ring]
  std::string ring_socket{};  // run_dir/ring.sock when the file does not say; empty: off
  std::string ring_socket_group{};
  unsigned ring_workers = 1;
  // [metrics]
  std::string metrics_listen = "127.0.0.1:9464";  // empty: off
  // [log]
  LogLevel log_level = LogLevel::kInfo;
  // [[vm]]
  std::vector<VmRequest> vms{};
  // [[quota]]: of names that have no [[vm]]
  std::vector<NamedQuota> quotas{};
  // The command line's: give up the pages that a life before left.
  bool discard_pages = false;
};

struct ConfigReading {
  Config config;
  std::vector<TomlError> errors;  // by line; config is valid only when there are none
};

ConfigReading read_config(std::string_view toml);
// Fails only when the file cannot be read.
Result<ConfigReading> read_config_file(const std::string& path);

// The file's configuration, or kInvalid with one line "FILE:LINE: what" for each error.
Result<Config> load_config(const std::string& path);

}  // namespace fallow::node
