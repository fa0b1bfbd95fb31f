// A place on an event loop that can be taken to another loop with all that is watched and scheduled
// there. Whoever lives on a loop by way of a seat does not notice that it moves.
//
// Every method on the thread of the loop that the seat is on; between leave() and join(), on any
// one thread at a time.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"

namespace fallow::ring {

class LoopSeat {
 public:
  using Handler = EventLoop::Handler;

  // The loop outlives the seat's stay.
  explicit LoopSeat(EventLoop& loop) : loop_(&loop) {}
  // What is scheduled goes with it. From within such work, too.
  ~LoopSeat();
  LoopSeat(const LoopSeat&) = delete;
  LoopSeat& operator=(const LoopSeat&) = delete;

  // As EventLoop's methods of these names. Between two loops they take effect when it joins.
  Status watch(int fd, Handler handler);
  void unwatch(int fd);
  void soon(Handler work);

  // Nothing is called any more. Not from within work that soon() was given.
  void leave();
  // Goes on where leave() has stopped. After an error some of what was watched is not.
  Status join(EventLoop& loop);

 private:
  using Work = std::vector<Handler>;

  void schedule();
  void turn();

  EventLoop* loop_;  // none between leave() and join()
  std::unordered_map<int, std::shared_ptr<Handler>> handlers_;
  Work soon_;
  std::shared_ptr<Work> running_ = std::make_shared<Work>();  // kept for its capacity
  bool scheduled_ = false;
  // What the loop holds refers to the seat weakly; another one for each stay.
  std::shared_ptr<LoopSeat*> stay_ = std::make_shared<LoopSeat*>(this);
};

}  // namespace fallow::ring
