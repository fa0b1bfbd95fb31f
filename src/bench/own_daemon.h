// A fallowd of the benchmark's own, as it is installed: greedy, so that whoever asks gets memory.
#pragma once

#include <memory>
#include <string>

#include "base/temp_dir.h"
#include "bench/server_process.h"

namespace fallow::bench {

class OwnDaemon {
 public:
  struct Options {
    std::string memory;       // as in the configuration
    std::string disk_size{};  // of a VM vm1; empty: no VM
  };
  explicit OwnDaemon(const Options& options);

  [[nodiscard]] std::string ring_socket() const { return folder_.path() + "/run/ring.sock"; }

 private:
  const TempDir folder_;
  const TempDir arena_{"/dev/shm"};
  // Backing files lie where files really go to a disk (/tmp is often memory).
  const TempDir backing_{"/var/tmp"};
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace fallow::bench
