#include "common/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace fallow::guests {
namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGHUP};

// What the signals' handler reads: atomics without a lock.
std::atomic<bool> stopping{false};
std::array<std::atomic<pid_t>, Child::kMost> children{};
static_assert(std::atomic<pid_t>::is_always_lock_free);

void kill_children(int /*signal*/) {
  const int saved = errno;
  stopping = true;
  for (const std::atomic<pid_t>& pid : children) {
    if (pid > 0) {
      ::kill(-pid, SIGKILL);
    }
  }
  errno = saved;
}

// While a child comes or goes no signal may come between it and the list of children: one would
// be missed, or another process be killed that got its number.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : kStopSignals) {
      sigaddset(&set, signal);
    }
    sigprocmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsHeld() { release(); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

  void release() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

bool replace(pid_t before, pid_t after) {
  for (std::atomic<pid_t>& pid : children) {
    if (pid == before) {
      pid = after;
      return true;
    }
  }
  return false;
}

// In the new process. What it inherited must not act on its parent's other children.
[[noreturn]] void become(const std::vector<std::string>& arguments, const Child::Settings& settings,
                         pid_t parent, const SignalsHeld& held, int report) {
  std::vector<char*> words;
  for (const std::string& argument : arguments) {
    words.push_back(const_cast<char*>(argument.c_str()));
  }
  words.push_back(nullptr);
  for (const int signal : kStopSignals) {
    std::signal(signal, SIG_DFL);
  }
  held.release();
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = settings.out < 0 ? STDERR_FILENO : settings.out;
  if (::getppid() == parent && ::dup2(out, STDOUT_FILENO) >= 0 &&
      (settings.folder.empty() || ::chdir(settings.folder.c_str()) == 0)) {
    ::execv(words[0], words.data());
  }
  const int error = errno;
  (void)!::write(report, &error, sizeof(error));
  ::_exit(127);
}

// What become() reported; 0 when the program runs.
int read_report(int descriptor) {
  int error = 0;
  ssize_t got = -1;
  do {
    got = ::read(descriptor, &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  return got == sizeof(error) ? error : 0;
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return ::access(name.c_str(), X_OK) == 0 ? name : "";
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string found = (folder.empty() ? "." : folder) + "/" + name;
    if (::access(found.c_str(), X_OK) == 0) {
      return found;
    }
  }
  return "";
}

void end_children_on_signals() {
  struct sigaction action {};
  action.sa_handler = kill_children;
  for (const int signal : kStopSignals) {
    sigaddset(&action.sa_mask, signal);
  }
  for (const int signal : kStopSignals) {
    sigaction(signal, &action, nullptr);
  }
}

bool stop_requested() {
  return stopping;
}

std::variant<Child, std::string> Child::start(const std::vector<std::string>& arguments,
                                              const Settings& settings) {
  const std::string cannot = "cannot start " + arguments[0] + ": ";
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    return cannot + std::strerror(errno);
  }
  pid_t pid = -1;
  std::string error;
  {
    const SignalsHeld held;
    const pid_t parent = ::getpid();
    if (stopping || !replace(0, -1)) {
      error = stopping ? "a signal asked for the end" : "too many are running";
    } else if (pid = ::fork(); pid == 0) {
      become(arguments, settings, parent, held, report[1]);
    } else if (pid < 0) {
      error = std::strerror(errno);
      replace(-1, 0);
    } else {
      ::setpgid(pid, pid);
      replace(-1, pid);
    }
  }
  ::close(report[1]);
  Child child(pid);
  const int failure = pid > 0 ? read_report(report[0]) : 0;
  ::close(report[0]);
  if (failure != 0) {
    error = std::strerror(failure);
  }
  if (!error.empty()) {
    return cannot + error;
  }
  return child;
}

Child::~Child() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    wait();
  }
}

bool Child::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid == pid_;
}

int Child::wait() {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
  const SignalsHeld held;
  // Until it is reaped its number is its own, and its group's.
  ::kill(-pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  replace(std::exchange(pid_, -1), 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

pid_t Child::next_ended() {
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  return info.si_pid;
}

}  // namespace fallow::guests
