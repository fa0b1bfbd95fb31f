#include "bench/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

namespace fallow::bench {
namespace {

constexpr int kTries = 1000;  // of 10 ms
constexpr std::size_t kLogMax = 1u << 20;

pid_t spawn(const ServerProcess::Start& start) {
  std::vector<char*> argv;
  for (const std::string& argument : start.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log = ::open(start.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::execvp(start.program.c_str(), argv.data());
    ::_exit(127);
  }
  return pid;
}

bool answers(const ServerProcess::Start& start) {
  if (!start.made_file.empty()) {
    return std::filesystem::exists(start.made_file);
  }
  const UniqueFd probe(connect_unix(start.socket, start.socket_type));
  return probe.valid();
}

}  // namespace

ServerProcess::ServerProcess(const Start& start) : pid_(spawn(start)) {
  for (int i = 0; i < kTries; ++i) {
    if (answers(start)) {
      return;
    }
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto said = read_text_file(start.log, kLogMax);
  log_error("no-server", {{"program", start.program}, {"said", said ? *said : std::string()}});
  this->~ServerProcess();
  std::exit(1);
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < kTries; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

int connect_unix(const std::string& path, int socket_type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, socket_type | SOCK_CLOEXEC, 0));
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  return socket.valid() && ::connect(socket.get(), raw, sizeof address) == 0 ? socket.release()
                                                                             : -1;
}

std::string own_program(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

std::optional<std::string> find_program(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "/usr/bin");
  for (std::string file; std::getline(folders, file, ':');) {
    file.append("/").append(program);
    if (::access(file.c_str(), X_OK) == 0) {
      return file;
    }
  }
  return std::nullopt;
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (pipe != nullptr) {
    const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get());
    if (got == 0) {
      break;
    }
    text.append(buffer.data(), got);
  }
  return text;
}

}  // namespace fallow::bench
