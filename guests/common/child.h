// Programs that a workload starts on the host. None outlives it, however it ends: one that goes out
// of scope is killed with all that it started, so is every one when a signal asks the workload to
// end, and the kernel kills it (but not what it started) when the workload is killed.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fallow::guests {

// The path of a program; a name without a slash is looked for in $PATH. "" when there is none.
std::string find_program(const std::string& name);

// From here on SIGTERM, SIGINT and SIGHUP kill all children, and no more can be started: whoever
// waits for one sees it end, and goes its way out.
void end_children_on_signals();
bool stop_requested();

class Child {
 public:
  static constexpr std::size_t kMost = 64;  // at the same time

  struct Settings {
    std::string folder{};  // to work in; "": that of the workload
    int out = -1;          // what it says goes there; -1: to stderr
  };
  // Of a path, from find_program(). The child, or why there is none.
  static std::variant<Child, std::string> start(const std::vector<std::string>& arguments,
                                                const Settings& settings);

  Child() = default;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ended() const;
  // Waits for its end: the exit code, or 128 + signal.
  int wait();
  // The process id of one of the children that has ended, which is still to be waited for.
  static pid_t next_ended();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
};

}  // namespace fallow::guests
