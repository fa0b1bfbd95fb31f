// Programs under test: run to their end with their output, or kept running beside the test.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/temp_dir.h"

namespace fallow::test {

// Where the programs of this build are.
std::string bin(const std::string& program);

// All of a file; "" when there is none.
std::string read_file(const std::string& path);

struct Outcome {
  int exit_code = -1;  // 128 + signal when it was killed
  std::string out;
  std::string err;
};

// Runs to the end; kills it when that takes longer than the limit.
Outcome run(const std::vector<std::string>& arguments, const std::string& input = "",
            int seconds_max = 60);

// Runs until it goes out of scope or end() is called.
class Background {
 public:
  // `prepare` is called in the new process, before it becomes the program.
  Background(const std::vector<std::string>& arguments, const std::string& log_path,
             const std::function<void()>& prepare = {});
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Sends a signal and waits for the end: the exit code, or 128 + signal.
  int end(int signal);
  // Waits for the end that comes by itself.
  int wait();
  [[nodiscard]] bool ends_within(int seconds) const;

 private:
  pid_t pid_ = -1;
};

// A daemon of its own folder, control socket and arena, without metrics unless asked for.
class Daemon {
 public:
  struct Options {
    std::string memory = "64M";
    std::string compression = "off";
    std::string extra_device{};  // lines of [device]
    std::string policy = "greedy";
    std::string interval = "50ms";
    std::string metrics = "off";
    std::string backing_dir{};        // empty: in its folder
    std::string vms{};                // [[vm]] tables
    std::function<void()> prepare{};  // as Background has it, of each life
  };
  explicit Daemon(Options options);
  Daemon() : Daemon(Options{}) {}

  // `fallow --socket ... arguments`.
  [[nodiscard]] Outcome fallow(std::vector<std::string> arguments) const;
  [[nodiscard]] std::string folder() const { return dir_.path(); }
  [[nodiscard]] std::string control_socket() const { return dir_.path() + "/run/control.sock"; }
  [[nodiscard]] std::string disk_socket(const std::string& vm) const;
  [[nodiscard]] std::string config_path() const { return dir_.path() + "/fallowd.toml"; }
  [[nodiscard]] const std::string& arena_folder() const { return arena_dir_.path(); }
  [[nodiscard]] std::string log() const;
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  int end(int signal) { return process_->end(signal); }
  // Another life of it, after end().
  void start();
  void kill_and_restart() {
    end(SIGKILL);
    start();
  }
  // Waits until the control socket answers; false when the daemon does not come up.
  bool wait_ready();

 private:
  std::function<void()> prepare_;
  TempDir dir_;
  TempDir arena_dir_{"/dev/shm"};
  std::unique_ptr<Background> process_;
};

}  // namespace fallow::test
