// The threads that serve the VMs' disks: an event loop each. A disk is on one of them at a time.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"

namespace fallow::node {

// Any thread.
class Workers {
 public:
  static Result<std::unique_ptr<Workers>> start(unsigned count);
  // Nothing may be left on the loops.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(workers_.size()); }
  [[nodiscard]] EventLoop& loop(unsigned worker) { return *workers_[worker].loop; }

 private:
  struct Worker {
    std::unique_ptr<EventLoop> loop;
    std::thread thread;
  };

  Workers() = default;

  std::vector<Worker> workers_;
};

}  // namespace fallow::node
