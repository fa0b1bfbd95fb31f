// A fallowd of the lab's own: private folder, private socket, ended with the lab.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/temp_dir.h"
#include "lab/child_process.h"
#include "lab/lab_loop.h"
#include "node/control_client.h"

namespace fallow::lab {

struct DaemonSettings {
  std::string program{};  // path of fallowd
  std::uint64_t memory_bytes = 0;
  std::uint64_t interval_ms = 1000;
  std::string demotion = "off";  // as in the daemon's configuration
  std::string first_policy = "no-tmem";
  std::string backing_speed = "disk";  // as in the daemon's configuration
};

// The daemon's configuration file.
std::string daemon_config(const DaemonSettings& settings, const std::string& run_dir,
                          const std::string& arena_dir, const std::string& backing_dir);

class Daemon {
 public:
  // Starts it and waits until it answers.
  static Result<std::unique_ptr<Daemon>> start(LabLoop& loop, const DaemonSettings& settings,
                                               const std::string& folder);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  [[nodiscard]] const node::ControlClient& client() const { return *client_; }
  // `error` and what the daemon logged last.
  [[nodiscard]] Error explain(const Error& error) const;

 private:
  explicit Daemon(std::string folder);
  Status spawn(const DaemonSettings& settings);
  Status wait_answer(LabLoop& loop);

  const std::string folder_;
  // Frames lie in memory; backing files lie where files really go to a disk (/tmp is often memory).
  const TempDir arena_{"/dev/shm"};
  const TempDir backing_{"/var/tmp"};
  std::optional<ChildProcess> process_;
  std::unique_ptr<node::ControlClient> client_;
};

}  // namespace fallow::lab
