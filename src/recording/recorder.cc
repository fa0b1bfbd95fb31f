#include "recording/recorder.h"

namespace fallow::recording {

// The time is taken under the lock, so that times rise as operations are taken.
void Recorder::note(Operation operation) {
  const std::lock_guard lock(mutex_);
  if (!on()) {
    return;
  }
  if (waiting_.size() >= waiting_max_) {
    ++missing_;
    return;
  }
  operation.at_ns = clock_.now_ns() - started_ns_;
  waiting_.push_back(operation);
}

bool Recorder::start() {
  const std::lock_guard lock(mutex_);
  if (on()) {
    return false;
  }
  waiting_.clear();
  waiting_.reserve(waiting_max_);
  missing_ = 0;
  started_ns_ = clock_.now_ns();
  on_.store(true, std::memory_order_relaxed);
  return true;
}

void Recorder::stop() {
  const std::lock_guard lock(mutex_);
  on_.store(false, std::memory_order_relaxed);
  std::vector<Operation>().swap(waiting_);  // with its memory
}

std::uint64_t Recorder::started_ns() const {
  const std::lock_guard lock(mutex_);
  return started_ns_;
}

void Recorder::take(std::vector<Operation>& taken) {
  taken.clear();
  taken.reserve(waiting_max_);
  const std::lock_guard lock(mutex_);
  waiting_.swap(taken);
}

std::uint64_t Recorder::missing() const {
  const std::lock_guard lock(mutex_);
  return missing_;
}

}  // namespace fallow::recording
