// One thread's loop over file descriptors, timers and posted work (epoll). A device, its queues and
// its connection live on one loop, so their state needs no locks.
//
// Every method is for the loop's own thread, save post() and stop(): any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace fallow {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();

  // Calls `handler` whenever `fd` is readable (level-triggered) or hung up. One handler an fd.
  Status watch(int fd, Handler handler);
  // Safe from within any handler, its own included. Call it before closing `fd`.
  void unwatch(int fd);

  // Calls `handler` every `period_ns` from now on; returns an id for cancel(). Fails when the
  // process is out of file descriptors.
  Result<int> every_ns(std::uint64_t period_ns, Handler handler);
  void cancel(int timer);

  // Runs handlers until stop().
  void run();
  // Handles what is ready, waiting up to `timeout_ms` (-1: for ever) for something to be.
  void run_once(int timeout_ms);

  // Runs `work` once what is ready now has been handled, before the loop sleeps: for work that goes
  // on turn by turn and lets everything else have its turn between. No system call, unlike post().
  void soon(Handler work);

  void post(Handler work);
  void stop();

 private:
  EventLoop() = default;
  void run_posted();
  void run_soon();

  UniqueFd epoll_;
  UniqueFd wake_;
  std::unordered_map<int, std::shared_ptr<Handler>> handlers_;
  std::unordered_map<int, UniqueFd> timers_;
  bool stopping_ = false;
  std::vector<Handler> soon_;
  std::vector<Handler> soon_running_;  // kept for its capacity

  std::mutex posted_mutex_;
  std::vector<Handler> posted_;  // guarded by posted_mutex_
};

// A thread, named for people, that runs the loop until stop(). Fails when no thread can be had.
Result<std::thread> run_on_thread(EventLoop& loop, const std::string& name);

}  // namespace fallow
