#include "base/event_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"

namespace fallow {
namespace {

// Empties an eventfd or timerfd; both count in one 64-bit word.
void drain(int fd) {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof count) == static_cast<ssize_t>(sizeof count)) {
  }
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  loop->epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  loop->wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->epoll_.valid() || !loop->wake_.valid()) {
    return failed_errno("cannot create an event loop", errno);
  }
  EventLoop* raw = loop.get();
  FALLOW_TRY(raw->watch(raw->wake_.get(), [raw] {
    drain(raw->wake_.get());
    raw->run_posted();
  }));
  return loop;
}

EventLoop::~EventLoop() = default;

Status EventLoop::watch(int fd, Handler handler) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return failed_errno("cannot watch a file descriptor", errno);
  }
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
  return {};
}

void EventLoop::unwatch(int fd) {
  if (handlers_.erase(fd) != 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

Result<int> EventLoop::every_ns(std::uint64_t period_ns, Handler handler) {
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.valid()) {
    return failed_errno("cannot create a timer", errno);
  }
  itimerspec spec{};
  spec.it_interval.tv_sec = static_cast<time_t>(period_ns / 1'000'000'000u);
  spec.it_interval.tv_nsec = static_cast<long>(period_ns % 1'000'000'000u);
  spec.it_value = spec.it_interval;
  CHECK(::timerfd_settime(timer.get(), 0, &spec, nullptr) == 0);
  const int fd = timer.get();
  FALLOW_TRY(watch(fd, [fd, work = std::move(handler)] {
    drain(fd);
    work();
  }));
  timers_[fd] = std::move(timer);
  return fd;
}

void EventLoop::cancel(int timer) {
  unwatch(timer);
  timers_.erase(timer);
}

void EventLoop::run() {
  while (!stopping_) {
    run_once(-1);
  }
}

void EventLoop::run_once(int timeout_ms) {
  epoll_event events[32];
  const int ready =
      ::epoll_wait(epoll_.get(), events, std::size(events), soon_.empty() ? timeout_ms : 0);
  for (int i = 0; i < ready; ++i) {
    const auto found = handlers_.find(events[i].data.fd);
    if (found != handlers_.end()) {  // an earlier handler may have unwatched it
      const std::shared_ptr<Handler> handler = found->second;
      (*handler)();
    }
  }
  run_soon();
}

void EventLoop::soon(Handler work) {
  soon_.push_back(std::move(work));
}

void EventLoop::run_soon() {
  soon_running_.swap(soon_);
  for (const Handler& work : soon_running_) {
    work();
  }
  soon_running_.clear();
}

void EventLoop::post(Handler work) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  // A full counter means that the loop is awake already.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  post([this] { stopping_ = true; });
}

Result<std::thread> run_on_thread(EventLoop& loop, const std::string& name) {
  try {
    std::thread thread([&loop] { loop.run(); });
    // Linux cuts names of threads at 15 letters.
    ::pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());
    return thread;
  } catch (const std::system_error& error) {
    return failed("cannot start thread '" + name + "': " + error.what());
  }
}

void EventLoop::run_posted() {
  std::vector<Handler> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
  }
  for (const Handler& handler : work) {
    handler();
  }
}

}  // namespace fallow
