// The sessions of one loop, and the poller that serves their queues.
//
// All on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <unordered_set>

#include "frontend/ring/session.h"

namespace fallow::ring {

class SessionGroup {
 public:
  // Both outlive the group.
  SessionGroup(EventLoop& loop, const Clock& clock) : loop_(loop), poller_(loop, clock) {}
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

 private:
  void let_go(Session& session);

  EventLoop& loop_;
  Poller poller_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  std::function<void()> drained_;  // set: stop() was called
};

}  // namespace fallow::ring
