#include "lab/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace fallow::lab {
namespace {

constexpr int kGraceMs = 2'000;
constexpr std::size_t kOutputBytesMax = std::size_t{1} << 20;

// Runs in the forked child of a process with threads: system calls only.
[[noreturn]] void execute(char* const* arguments, int output, int error_pipe, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();  // the terminal's interrupt is for the lab, which ends its children in order
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(127);  // the parent died before the line above
  }
  const rlimit no_core{0, 0};  // QEMU aborts where KVM does not work: no core file of a guest's RAM
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(arguments[0], arguments);
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(error_pipe, &error, sizeof(error));
  ::_exit(127);
}

std::vector<char*> as_pointers(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// 0 when the program runs (the pipe was closed by exec), else the error that kept it from that.
int exec_error(int pipe) {
  int error = 0;
  return ::read(pipe, &error, sizeof(error)) == sizeof(error) ? error : 0;
}

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& arguments,
                                         const std::string& output_path) {
  const UniqueFd output(
      ::open(output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  int ends[2];
  if (!output.valid() || ::pipe2(ends, O_CLOEXEC) != 0) {
    return failed_errno("cannot write " + output_path, errno);
  }
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const std::vector<char*> pointers = as_pointers(arguments);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    execute(pointers.data(), output.get(), write_end.get(), parent);
  }
  if (pid < 0) {
    return failed_errno("cannot start " + arguments[0], errno);
  }
  write_end.reset();
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  ChildProcess child(pid, std::move(pidfd));
  if (const int error = exec_error(read_end.get()); error != 0) {
    return failed_errno("cannot run " + arguments[0], error);
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::move(other.pidfd_)),
      exit_code_(other.exit_code_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

ChildProcess::~ChildProcess() {
  end(kGraceMs);
}

std::optional<int> ChildProcess::exit_code() {
  int status = 0;
  if (pid_ > 0 && !exit_code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

std::optional<int> ChildProcess::wait_ms(int timeout_ms) {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (pid_ > 0 && !exit_code_) {
    ::poll(&ended, 1, timeout_ms);
  }
  return exit_code();
}

void ChildProcess::end(int grace_ms) {
  if (pid_ <= 0 || exit_code()) {
    return;
  }
  ::kill(pid_, SIGTERM);
  if (!wait_ms(grace_ms)) {
    ::kill(pid_, SIGKILL);
    wait_ms(-1);
  }
}

Status run_program(const std::vector<std::string>& arguments, const std::string& output_path,
                   int timeout_ms) {
  auto child = ChildProcess::spawn(arguments, output_path);
  if (!child) {
    return child.error();
  }
  const std::optional<int> code = child->wait_ms(timeout_ms);
  if (code == 0) {
    return {};
  }
  const auto output = read_text_file(output_path, kOutputBytesMax);
  return failed(arguments[0] + (code ? " failed: " : " did not end in time: ") +
                (output ? *output : ""));
}

}  // namespace fallow::lab
