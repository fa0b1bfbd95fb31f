#include "run/run_program.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/log.h"
#include "base/temp_dir.h"
#include "run/protocol.h"
#include "run/server.h"

namespace fallow::run {
namespace {

namespace fs = std::filesystem;

// malloc of libc maps memory behind everybody's back; this one asks libc to, by name.
constexpr char kMalloc[] = "libjemalloc.so.2";
constexpr char kPreload[] = "libfallow_run.so";
constexpr int kLookAgainMs = 100;

Result<std::string> find_program(const std::string& name) {
  const auto runs = [](const std::string& path) {
    return fs::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) {
    return runs(name) ? Result(name) : invalid("cannot run '" + name + "': no such program");
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (const std::string at = folder + "/" + name; runs(at)) {
      return at;
    }
  }
  return invalid("cannot run '" + name + "': no such program in PATH");
}

// A program that no library can be loaded into would run as if nothing were there.
Status check_dynamic(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return {};  // a script: its interpreter will tell
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part{};
    file.seekg(static_cast<std::streamoff>(header.e_phoff + i * sizeof part));
    file.read(reinterpret_cast<char*>(&part), sizeof part);
    if (file && part.p_type == PT_INTERP) {
      return {};
    }
  }
  return invalid("'" + path +
                 "' is linked statically, so its memory cannot be paged: link it dynamically");
}

// As check_name() has it, whatever the program is called.
std::string client_name(const std::string& path) {
  constexpr std::size_t kMost = 40;
  std::string name = "run-" + fs::path(path).filename().string().substr(0, kMost);
  for (char& letter : name) {
    letter = std::isalnum(static_cast<unsigned char>(letter)) != 0 ? letter : '-';
  }
  return name + "-" + std::to_string(::getpid());
}

Result<std::string> find_preload() {
  std::error_code error;
  const fs::path bin = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path installed = bin / ".." / FALLOW_LIBDIR / "fallow" / kPreload;
  for (const fs::path& at : {bin / "../lib" / kPreload, installed}) {
    if (fs::exists(at, error)) {
      return fs::canonical(at, error).string();
    }
  }
  return failed("the library " + installed.lexically_normal().string() + " is missing");
}

Status check_malloc() {
  for (const char* folder : {"/usr/lib/x86_64-linux-gnu/", "/usr/lib64/", "/usr/lib/"}) {
    if (::access((std::string(folder) + kMalloc).c_str(), R_OK) == 0) {
      return {};
    }
  }
  return failed(std::string(kMalloc) + " is missing: install the package libjemalloc2");
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// The program's environment, as KEY=VALUE: what it would have had, and what it needs to be paged.
std::vector<std::string> environment(const std::string& socket, const std::string& preload) {
  std::vector<std::string> all;
  std::string loaded = preload + ":" + kMalloc;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string one = *at;
    if (one.starts_with("LD_PRELOAD=")) {
      loaded += ":" + one.substr(std::strlen("LD_PRELOAD="));
    } else if (!one.starts_with(std::string(kSocketVariable) + "=")) {
      all.push_back(one);
    }
  }
  all.push_back("LD_PRELOAD=" + loaded);
  all.push_back(std::string(kSocketVariable) + "=" + socket);
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const std::string& word : words) {
    all.push_back(const_cast<char*>(word.c_str()));
  }
  all.push_back(nullptr);
  return all;
}

struct Signals {
  sigset_t handled{};
  sigset_t before{};

  Signals() {
    sigemptyset(&handled);
    for (const int one : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD}) {
      sigaddset(&handled, one);
    }
    ::pthread_sigmask(SIG_BLOCK, &handled, &before);
  }
};

Result<pid_t> spawn(const std::string& path, const std::vector<std::string>& words,
                    const std::vector<std::string>& variables, const Signals& signals,
                    const rlimit& files) {
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> settings = pointers(variables);
  const pid_t own = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    return failed_errno("cannot start a process", errno);
  }
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::pthread_sigmask(SIG_SETMASK, &signals.before, nullptr);
    if (::getppid() == own) {
      ::execve(path.c_str(), arguments.data(), settings.data());
    }
    ::_exit(errno == ENOENT ? 127 : 126);
  }
  return child;
}

// Takes the processes that have ended; the exit code of `program` when it is among them. False:
// there is none left.
bool reap(pid_t program, std::optional<int>& exit_code) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == 0) {
      return true;
    }
    if (ended < 0) {
      return false;
    }
    if (ended == program) {
      exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}

// Those that the program has left behind: they are this process's children now.
void signal_children(int signal) {
  std::error_code none;
  for (const fs::directory_entry& task : fs::directory_iterator("/proc/self/task", none)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      ::kill(child, signal);
    }
  }
}

// Until the program and those that it has left behind have ended.
int wait_for_end(pid_t program, const Signals& signals) {
  std::optional<int> exit_code;
  while (reap(program, exit_code)) {
    siginfo_t about{};
    const timespec pause{0, kLookAgainMs * 1'000'000};
    const int signal = ::sigtimedwait(&signals.handled, &about, &pause);
    // What a terminal sends, the program has got as well.
    const bool from_terminal =
        about.si_code == SI_KERNEL && (signal == SIGINT || signal == SIGQUIT);
    if (signal > 0 && signal != SIGCHLD && !from_terminal) {
      exit_code ? signal_children(signal) : static_cast<void>(::kill(program, signal));
    }
  }
  return exit_code.value_or(1);
}

}  // namespace

Result<RunOutcome> run_program(const RunOptions& options) {
  const Result<std::string> path = find_program(options.program.front());
  FALLOW_TRY(path);
  FALLOW_TRY(check_dynamic(*path));
  FALLOW_TRY(check_malloc());
  FALLOW_TRY(pager::UserFault::create());  // as the program will
  const Result<std::string> preload = find_preload();
  FALLOW_TRY(preload);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  raise_descriptor_limit();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const Signals signals;  // before there are threads
  pager::PagerOptions paging = options.pager;
  if (paging.store.name.empty()) {
    paging.store.name = client_name(*path);
  }
  const Result<std::unique_ptr<pager::Pager>> pager = pager::Pager::create(paging);
  FALLOW_TRY(pager);
  const TempDir folder;
  const std::string socket = folder.path() + "/run.sock";
  const Result<std::unique_ptr<Server>> server = Server::open(**pager, socket);
  FALLOW_TRY(server);
  const Result<pid_t> program =
      spawn(*path, options.program, environment(socket, *preload), signals, files);
  FALLOW_TRY(program);
  RunOutcome outcome;
  outcome.exit_code = wait_for_end(*program, signals);
  outcome.processes = (*server)->processes();
  outcome.statistics = (*pager)->statistics();
  if (outcome.processes == 0) {
    log_warning("run_nothing_was_paged", {{"program", *path}});
  }
  return outcome;
}

}  // namespace fallow::run
