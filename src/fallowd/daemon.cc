#include "fallowd/daemon.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/log.h"
#include "fallowd/kept_listeners.h"
#include "fallowd/service_manager.h"
#include "node/control_service.h"
#include "node/metrics.h"
#include "node/node.h"

namespace fallow {
namespace {

// Makes SIGTERM and SIGINT readable; a peer that is gone is an error of a call, not a signal.
Result<UniqueFd> take_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid() || ::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return failed_errno("cannot take signals", errno);
  }
  return fd;
}

// Each queue of each VM costs two.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

Result<std::unique_ptr<node::MetricsServer>> start_metrics(const node::Config& config,
                                                           const node::Node& node) {
  if (config.metrics_listen.empty()) {
    return std::unique_ptr<node::MetricsServer>();
  }
  return node::MetricsServer::start(config.metrics_listen, [&node] {
    return node::MetricsReading{.snapshot = node.list_vms(), .latencies = node.latencies()};
  });
}

// A node that does not answer is not alive: its locks are taken on the way.
Status keep_watchdog_fed(EventLoop& loop, const node::Node& node) {
  if (const std::uint64_t period_ns = watchdog_period_ns(); period_ns > 0) {
    FALLOW_TRY(loop.every_ns(period_ns, [&node] {
      (void)node.status();
      notify_alive();
    }));
  }
  return {};
}

Status watch_signals(EventLoop& loop, int signals) {
  return loop.watch(signals, [&loop, signals] {
    signalfd_siginfo info{};
    if (::read(signals, &info, sizeof info) == sizeof info) {
      log_info("stopping", {{"signal", info.ssi_signo}});
      loop.stop();
    }
  });
}

// However the daemon ends, what it listened on is left to its next life; only a VM that is removed
// before takes its socket along.
class LeavesListeners {
 public:
  explicit LeavesListeners(KeptListeners& listeners) : listeners_(listeners) {}
  ~LeavesListeners() { listeners_.leave_to_next_life(); }
  LeavesListeners(const LeavesListeners&) = delete;
  LeavesListeners& operator=(const LeavesListeners&) = delete;

 private:
  KeptListeners& listeners_;
};

}  // namespace

Status run_daemon(const node::Config& config) {
  set_log_level(config.log_level);
  allow_many_files();
  const Result<UniqueFd> signals = take_signals();
  if (!signals) {
    return signals.error();
  }
  const auto loop = EventLoop::create();
  if (!loop) {
    return loop.error();
  }
  FALLOW_TRY(watch_signals(**loop, signals->get()));
  const SystemClock clock;
  KeptListeners listeners;
  const auto node = node::Node::create(config, clock, listeners);
  if (!node) {
    return node.error();
  }
  const LeavesListeners leaves(listeners);
  const auto control = node::ControlServer::create(config.control_socket, **loop, **node);
  if (!control) {
    return control.error();
  }
  const auto metrics = start_metrics(config, **node);
  if (!metrics) {
    return metrics.error();
  }
  FALLOW_TRY((*node)->start());
  listeners.drop_unclaimed();
  FALLOW_TRY(keep_watchdog_fed(**loop, **node));
  notify_ready();
  (*loop)->run();
  notify_stopping();
  return {};
}

}  // namespace fallow
