// The guest's side of the lab. In a virtual machine it is process 1, once `init` has made its
// preparations, and takes commands over the second serial port; with `--connect SOCKET` it is an
// ordinary process (under `fallow run`), which ends when the other side goes. It takes commands as
// lines and answers each with one line, "= ok ..." or "= failed ..."; what the workload prints goes
// out as "| ..." lines, and its end as "= exited N".
//
//   ping               = ok
//   swapon             the swap disk, with discards
//   start PROGRAM ...  one workload at a time
//   stop               SIGTERM to the workload
//   memory             = ok pswpin=... (memory.h)
//   poweroff           ends the machine, or the agent
//
// In a virtual machine it locks itself into memory, so that it answers at once while the guest
// swaps.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "agent/channel.h"
#include "agent/memory.h"

namespace fallow::guests {
namespace {

constexpr const char* kSwapDevice = "/dev/vda";
constexpr const char* kPort = "/dev/ttyS1";

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    if (end > at) {
      words.push_back(line.substr(at, end - at));
    }
    at = end + 1;
  }
  return words;
}

class Agent {
 public:
  // `socket`: nullptr for the serial port of a machine.
  bool open(const char* socket) {
    is_process_ = socket != nullptr;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals_ >= 0 && (is_process_ ? channel_.connect(socket) : channel_.open(kPort));
  }

  [[noreturn]] void run() {
    channel_.send("= ready");
    for (;;) {
      pollfd ready[] = {{channel_.fd(), POLLIN, 0}, {signals_, POLLIN, 0}, {output_, POLLIN, 0}};
      ::poll(ready, output_ < 0 ? 2 : 3, -1);
      if ((ready[0].revents & (POLLIN | POLLHUP)) != 0) {
        take_commands();
      }
      if ((ready[2].revents & (POLLIN | POLLHUP)) != 0) {
        relay_output();
      }
      if ((ready[1].revents & POLLIN) != 0) {
        reap();
      }
    }
  }

 private:
  void take_commands() {
    if (!channel_.receive() && is_process_) {
      power_off();
    }
    while (const auto line = channel_.next_line()) {
      const std::vector<std::string> words = split(*line);
      if (!words.empty()) {
        answer(words);
      }
    }
  }

  void answer(const std::vector<std::string>& words) {
    const std::string& command = words[0];
    if (command == "ping") {
      reply("");
    } else if (command == "memory") {
      reply("", memory_report());
    } else if (command == "swapon") {
      reply(is_process_ ? "a process has no swap disk" : swap_on(kSwapDevice));
    } else if (command == "start") {
      reply(start({words.begin() + 1, words.end()}));
    } else if (command == "stop") {
      reply(stop());
    } else if (command == "poweroff") {
      power_off();
    } else {
      reply("no such command: " + command);
    }
  }

  void reply(const std::string& error, const std::string& answer = "") const {
    const std::string text = error.empty() ? "ok " + answer : "failed " + error;
    channel_.send("= " + text);
  }

  std::string start(const std::vector<std::string>& words) {
    if (words.empty()) {
      return "start needs a program";
    }
    if (workload_ > 0) {
      return "a workload is running";
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      return "no pipe";
    }
    workload_ = ::fork();
    if (workload_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      execute(words, ends[1]);
    }
    ::close(ends[1]);
    output_ = ends[0];
    ::fcntl(output_, F_SETFL, O_NONBLOCK);
    return "";
  }

  [[noreturn]] static void execute(const std::vector<std::string>& words, int output) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : words) {
      arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    std::printf("error %s: %s\n", arguments[0], std::strerror(errno));
    std::fflush(stdout);
    ::_exit(127);
  }

  std::string stop() const {
    return workload_ > 0 && ::kill(workload_, SIGTERM) == 0 ? "" : "no workload is running";
  }

  void relay_output() {
    char bytes[512];
    ssize_t count = 0;
    while ((count = ::read(output_, bytes, sizeof(bytes))) > 0) {
      lines_.add({bytes, static_cast<std::size_t>(count)});
      while (const auto line = lines_.next()) {
        channel_.send("| " + *line);
      }
    }
    if (count == 0) {
      close_output();
    }
  }

  void close_output() {
    ::close(output_);
    output_ = -1;
  }

  // Process 1 inherits every orphan; only the workload's end is news, after its last words.
  void reap() {
    signalfd_siginfo drained[8];
    while (::read(signals_, drained, sizeof(drained)) > 0) {
    }
    int status = 0;
    for (pid_t child = 0; (child = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (child == workload_) {
        finish_workload(status);
      }
    }
  }

  void finish_workload(int status) {
    workload_ = 0;
    if (output_ >= 0) {
      relay_output();
    }
    if (output_ >= 0) {
      close_output();
    }
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    channel_.send("= exited " + std::to_string(code));
  }

  [[noreturn]] void power_off() const {
    if (is_process_) {
      ::_exit(0);
    }
    // Without ACPI the machine cannot be powered off; a restart under QEMU's -no-reboot ends it.
    ::reboot(RB_AUTOBOOT);
    ::_exit(0);
  }

  bool is_process_ = false;
  Channel channel_;
  LineBuffer lines_;
  int signals_ = -1;
  int output_ = -1;
  pid_t workload_ = 0;
};

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  const bool connects = argc == 3 && std::strcmp(argv[1], "--connect") == 0;
  if (argc != 1 && !connects) {
    std::fprintf(stderr, "guest-agent: use it with --connect SOCKET, or without in a machine\n");
    return 2;
  }
  if (!connects) {
    mlockall(MCL_CURRENT | MCL_FUTURE);
  }
  fallow::guests::Agent agent;
  if (!agent.open(connects ? argv[2] : nullptr)) {
    std::fprintf(stderr, "guest-agent: no %s\n", connects ? argv[2] : "second serial port");
    return 1;
  }
  agent.run();
}
