#include "node/workers.h"

#include <string>

namespace fallow::node {

Result<std::unique_ptr<Workers>> Workers::start(unsigned count) {
  std::unique_ptr<Workers> workers(new Workers);
  for (unsigned i = 0; i < count; ++i) {
    auto loop = EventLoop::create();
    if (!loop) {
      return loop.error();
    }
    auto thread = run_on_thread(**loop, "worker " + std::to_string(i));
    FALLOW_TRY(thread);
    workers->workers_.push_back({*std::move(loop), *std::move(thread)});
  }
  return workers;
}

Workers::~Workers() {
  for (Worker& worker : workers_) {
    worker.loop->stop();
    worker.thread.join();
  }
}

}  // namespace fallow::node
