#include "frontend/ring/session_group.h"

#include "base/check.h"
#include "base/log.h"

namespace fallow::ring {

SessionGroup::~SessionGroup() {
  CHECK(sessions_.empty());
}

void SessionGroup::add(Connection connection, std::unique_ptr<Attachment> attachment, Ended ended) {
  if (drained_) {
    ended(Session::End::kByDaemon);
    return;
  }
  auto session = std::make_shared<Session>(
      seat_, poller_, std::move(connection), std::move(attachment),
      [this, callback = std::move(ended)](Session& over, Session::End how) {
        let_go(over);
        callback(how);
      });
  sessions_.insert(session);
  session->start();
}

void SessionGroup::let_go(Session& session) {
  CHECK(sessions_.erase(session.shared_from_this()) == 1);
  if (drained_ && sessions_.empty()) {
    seat_.soon(drained_);
  }
}

void SessionGroup::stop(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (sessions_.empty()) {
    seat_.soon(drained_);
  }
  for (const auto& session : sessions_) {
    session->shut_down();
  }
}

void SessionGroup::join_loop(EventLoop& loop) {
  if (const auto joined = seat_.join(loop); !joined) {
    log_error("ring_clients_unwatched", {{"detail", joined.error().text}});
    for (const auto& session : sessions_) {
      session->shut_down();
    }
  }
}

}  // namespace fallow::ring
