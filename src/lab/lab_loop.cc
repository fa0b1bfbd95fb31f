#include "lab/lab_loop.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace fallow::lab {
namespace {

constexpr std::uint64_t kWaitMsMax = 1'000;

}  // namespace

Result<std::unique_ptr<LabLoop>> LabLoop::create() {
  std::unique_ptr<LabLoop> loop(new LabLoop());
  auto events = EventLoop::create();
  if (!events) {
    return events.error();
  }
  loop->events_ = std::move(*events);
  FALLOW_TRY(loop->watch_signals());
  return loop;
}

LabLoop::~LabLoop() {
  if (signals_.valid()) {
    events_->unwatch(signals_.get());
  }
}

Status LabLoop::watch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) {
    return failed_errno("signalfd", errno);
  }
  return events_->watch(signals_.get(), [this] {
    signalfd_siginfo info{};
    interrupted_ = ::read(signals_.get(), &info, sizeof(info)) == sizeof(info) || interrupted_;
  });
}

Status LabLoop::wait_until(const std::function<bool()>& done, std::uint64_t timeout_ms,
                           const std::string& what) {
  const std::uint64_t deadline_ms = now_ms() + timeout_ms;
  while (!done()) {
    if (interrupted_) {
      return failed("interrupted");
    }
    const std::uint64_t now = now_ms();
    if (now >= deadline_ms) {
      return failed(what + " did not happen within " + std::to_string(timeout_ms / 1000) + " s");
    }
    events_->run_once(static_cast<int>(std::min(deadline_ms - now, kWaitMsMax)));
  }
  return {};
}

}  // namespace fallow::lab
