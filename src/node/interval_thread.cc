#include "node/interval_thread.h"

namespace fallow::node {

Result<std::unique_ptr<IntervalThread>> IntervalThread::start(std::uint64_t interval_ns,
                                                              std::function<void()> tick) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) {
    return loop.error();
  }
  FALLOW_TRY((*loop)->every_ns(interval_ns, std::move(tick)));
  auto thread = run_on_thread(**loop, "interval");
  FALLOW_TRY(thread);
  std::unique_ptr<IntervalThread> self(new IntervalThread(*std::move(loop)));
  self->thread_ = *std::move(thread);
  return self;
}

IntervalThread::~IntervalThread() {
  loop_->stop();
  thread_.join();
}

}  // namespace fallow::node
