#include "node/interval_thread.h"

namespace fallow::node {

Result<std::unique_ptr<IntervalThread>> IntervalThread::start(std::uint64_t interval_ns,
                                                              std::function<void()> tick) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) {
    return loop.error();
  }
  (*loop)->every_ns(interval_ns, std::move(tick));
  std::unique_ptr<IntervalThread> self(new IntervalThread(*std::move(loop)));
  self->thread_ = std::thread([raw = self->loop_.get()] { raw->run(); });
  return self;
}

IntervalThread::~IntervalThread() {
  loop_->stop();
  thread_.join();
}

}  // namespace fallow::node
