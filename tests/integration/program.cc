#include "integration/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "base/file.h"

namespace fallow::test {
namespace {

// Standard input, output and error from and to files: no pipe can fill up.
pid_t start(const std::vector<std::string>& arguments, const std::string& in,
            const std::string& out, const std::string& err,
            const std::function<void()>& prepare = {}) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto redirect = [](const std::string& path, int flags, int to) {
      ::dup2(::open(path.c_str(), flags, 0600), to);
    };
    redirect(in, O_RDONLY, 0);
    redirect(out, O_WRONLY | O_CREAT | O_APPEND, 1);
    redirect(err, O_WRONLY | O_CREAT | O_APPEND, 2);
    if (prepare) {
      prepare();
    }
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  CHECK(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool ended_within(pid_t pid, int timeout_ms) {
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ready{handle.get(), POLLIN, 0};
  return ::poll(&ready, 1, timeout_ms) == 1;
}

}  // namespace

std::string bin(const std::string& program) {
  const char* folder = std::getenv("FALLOW_BIN");
  return (folder != nullptr
              ? std::string(folder)
              : std::filesystem::read_symlink("/proc/self/exe").parent_path().string()) +
         "/" + program;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Outcome run(const std::vector<std::string>& arguments, const std::string& input, int seconds_max) {
  const TempDir dir;
  std::ofstream(dir.path() + "/in") << input;
  const pid_t pid = start(arguments, dir.path() + "/in", dir.path() + "/out", dir.path() + "/err");
  if (!ended_within(pid, seconds_max * 1000)) {
    ::kill(pid, SIGKILL);
  }
  Outcome outcome;
  outcome.exit_code = wait_for(pid);
  outcome.out = read_file(dir.path() + "/out");
  outcome.err = read_file(dir.path() + "/err");
  return outcome;
}

Background::Background(const std::vector<std::string>& arguments, const std::string& log_path,
                       const std::function<void()>& prepare)
    : pid_(start(arguments, "/dev/null", log_path, log_path, prepare)) {}

Background::~Background() {
  if (pid_ > 0) {
    end(SIGTERM);
  }
}

int Background::end(int signal) {
  CHECK(pid_ > 0);
  ::kill(pid_, signal);
  return wait();
}

bool Background::ends_within(int seconds) const {
  return ended_within(pid_, seconds * 1000);
}

int Background::wait() {
  CHECK(pid_ > 0);
  if (!ended_within(pid_, 30'000)) {
    ::kill(pid_, SIGKILL);
  }
  return wait_for(std::exchange(pid_, -1));
}

Daemon::Daemon(Options options) : prepare_(std::move(options.prepare)) {
  const std::string backing =
      options.backing_dir.empty() ? dir_.path() + "/backing" : options.backing_dir;
  std::filesystem::create_directories(backing);
  std::ofstream(config_path()) << "[node]\nmemory = \"" << options.memory << "\"\ncompression = \""
                               << options.compression << "\"\narena = \"" << arena_dir_.path()
                               << "\"\nrun_dir = \"" << dir_.path() << "/run\"\n[policy]\nspec = \""
                               << options.policy << "\"\ninterval = \"" << options.interval
                               << "\"\n[device]\nbacking_dir = \"" << backing << "\"\n"
                               << options.extra_device << "\n[metrics]\nlisten = \""
                               << options.metrics << "\"\n"
                               << options.vms;
  start();
}

void Daemon::start() {
  process_ = std::make_unique<Background>(
      std::vector<std::string>{bin("fallowd"), "--config", config_path()}, dir_.path() + "/log",
      prepare_);
}

bool Daemon::wait_ready() {
  // Waits on the daemon's own word, by way of the command line; each try takes the client's time.
  for (int i = 0; i < 300 && !ended_within(pid(), 50); ++i) {
    if (fallow({"status"}).exit_code == 0) {
      return true;
    }
  }
  return false;
}

Outcome Daemon::fallow(std::vector<std::string> arguments) const {
  std::vector<std::string> whole{bin("fallow"), "--socket", control_socket()};
  whole.insert(whole.end(), arguments.begin(), arguments.end());
  return run(whole);
}

std::string Daemon::disk_socket(const std::string& vm) const {
  return dir_.path() + "/run/vm/" + vm + ".sock";
}

std::string Daemon::log() const {
  return read_file(dir_.path() + "/log");
}

}  // namespace fallow::test
