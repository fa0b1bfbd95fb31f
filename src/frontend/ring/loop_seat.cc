#include "frontend/ring/loop_seat.h"

#include "base/check.h"

namespace fallow::ring {
namespace {

EventLoop::Handler calling(std::shared_ptr<EventLoop::Handler> handler) {
  return [handler = std::move(handler)] { (*handler)(); };
}

}  // namespace

LoopSeat::~LoopSeat() {
  if (loop_ != nullptr) {
    leave();
  }
}

Status LoopSeat::watch(int fd, Handler handler) {
  auto kept = std::make_shared<Handler>(std::move(handler));
  if (loop_ != nullptr) {
    FALLOW_TRY(loop_->watch(fd, calling(kept)));
  }
  handlers_[fd] = std::move(kept);
  return {};
}

void LoopSeat::unwatch(int fd) {
  if (handlers_.erase(fd) != 0 && loop_ != nullptr) {
    loop_->unwatch(fd);
  }
}

void LoopSeat::soon(Handler work) {
  soon_.push_back(std::move(work));
  schedule();
}

void LoopSeat::schedule() {
  if (loop_ == nullptr || scheduled_ || soon_.empty()) {
    return;
  }
  scheduled_ = true;
  loop_->soon([stay = std::weak_ptr(stay_)] {
    LoopSeat* seat = nullptr;
    if (const auto here = stay.lock()) {
      seat = *here;
    }
    if (seat != nullptr) {
      seat->turn();
    }
  });
}

void LoopSeat::turn() {
  scheduled_ = false;
  const std::shared_ptr<Work> running = running_;
  const std::weak_ptr stay(stay_);
  running->swap(soon_);
  for (const Handler& work : *running) {
    work();
    if (stay.expired()) {
      return;  // the work was the seat's end
    }
  }
  running->clear();
}

void LoopSeat::leave() {
  for (const auto& [fd, handler] : handlers_) {
    loop_->unwatch(fd);
  }
  stay_ = std::make_shared<LoopSeat*>(this);
  scheduled_ = false;
  loop_ = nullptr;
}

Status LoopSeat::join(EventLoop& loop) {
  CHECK(loop_ == nullptr && running_->empty());
  loop_ = &loop;
  schedule();
  Status joined;
  for (const auto& [fd, handler] : handlers_) {
    if (const auto watched = loop.watch(fd, calling(handler)); !watched && joined) {
      joined = watched;
    }
  }
  return joined;
}

}  // namespace fallow::ring
