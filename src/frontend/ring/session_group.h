// The sessions of one loop, and the poller that serves their queues. They can be taken to another
// loop together.
//
// All on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <unordered_set>

#include "frontend/ring/loop_seat.h"
#include "frontend/ring/session.h"

namespace fallow::ring {

class SessionGroup {
 public:
  // Both outlive the group, but for a loop that it has left.
  SessionGroup(EventLoop& loop, const Clock& clock) : seat_(loop), poller_(seat_, clock) {}
  // After stop() has called back, or with no session.
  ~SessionGroup();
  SessionGroup(const SessionGroup&) = delete;
  SessionGroup& operator=(const SessionGroup&) = delete;

  // Serves the client until it leaves. `ended` is always called, perhaps before this returns: then
  // nothing of the client is in flight.
  using Ended = std::function<void(Session::End)>;
  void add(Connection connection, std::unique_ptr<Attachment> attachment, Ended ended);
  // Ends every session, and whatever comes in later; then calls `drained`, never before it returns.
  void stop(std::function<void()> drained);

  // Nothing is done for any client until join_loop(), on another loop's thread. What is in flight
  // may end meanwhile. Where a session cannot be watched any more, all of them end.
  void leave_loop() { seat_.leave(); }
  void join_loop(EventLoop& loop);
  // For what lives with the group.
  [[nodiscard]] LoopSeat& seat() { return seat_; }

 private:
  void let_go(Session& session);

  LoopSeat seat_;
  Poller poller_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  std::function<void()> drained_;  // set: stop() was called
};

}  // namespace fallow::ring
