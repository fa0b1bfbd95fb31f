#include "nbdkit/disk.h"

namespace fallow::nbdkit {

int Disk::attach(const std::string& vm, const std::string& socket, std::unique_ptr<Disk>& made) {
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.empty() ? nullptr : socket.c_str();
  options.disk = vm.c_str();
  fallow_client* client = nullptr;
  const int error = fallow_connect(&options, &client);
  if (error == 0) {
    made.reset(new Disk(client));
  }
  return error;
}

int Disk::borrow(fallow_queue*& queue) {
  std::unique_lock lock(mutex_);
  if (idle_.empty() && open_ < kQueuesMax) {
    ++open_;
    lock.unlock();
    // Depth 1: the library splits what is long, and has places of its own for the parts.
    const int error = fallow_queue_open(client_, 1, &queue);
    if (error == 0) {
      return 0;
    }
    lock.lock();
    --open_;
    if (open_ == 0) {
      return error;
    }
  }
  ++waiting_;
  returned_.wait(lock, [this] { return !idle_.empty(); });
  --waiting_;
  queue = idle_.back();
  idle_.pop_back();
  return 0;
}

void Disk::give_back(fallow_queue* queue) {
  bool wanted = false;
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(queue);
    wanted = waiting_ > 0;
  }
  if (wanted) {
    returned_.notify_one();
  }
}

}  // namespace fallow::nbdkit
