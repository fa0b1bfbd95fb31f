// A program that the lab runs: QEMU, the daemon, gnuplot. It dies with the lab, whatever ends the
// lab, and is ended by its process id, never by name. For the thread that made it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace fallow::lab {

class ChildProcess {
 public:
  // Runs `arguments[0]`, found along PATH when it holds no slash. What it prints goes to the file.
  static Result<ChildProcess> spawn(const std::vector<std::string>& arguments,
                                    const std::string& output_path);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  // Readable once the process has ended.
  [[nodiscard]] int fd() const { return pidfd_.get(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // The exit code (128 + signal when it was killed), once the process has ended. Never waits.
  std::optional<int> exit_code();
  // Waits for the end, up to the deadline.
  std::optional<int> wait_ms(int timeout_ms);
  // Asks it to end, then kills it when it has not within the grace.
  void end(int grace_ms);

 private:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = 0;
  UniqueFd pidfd_;
  std::optional<int> exit_code_;
};

// Runs a program to its end; an error, with what it printed, when it does not exit 0 in time.
Status run_program(const std::vector<std::string>& arguments, const std::string& output_path,
                   int timeout_ms);

}  // namespace fallow::lab
