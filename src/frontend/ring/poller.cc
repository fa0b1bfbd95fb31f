#include "frontend/ring/poller.h"

#include <sched.h>

#include <algorithm>

namespace fallow::ring {
namespace {

// A turn ends after so many pages, or so many looks at queues; then the loop's other work has its
// own.
constexpr unsigned kPagesPerTurn = 64;
constexpr std::size_t kLooksPerTurn = 64;
// A look, with its pause, takes about 40 ns: from 2 to 40 microseconds.
constexpr std::uint32_t kPatienceLeast = 64;
constexpr std::uint32_t kPatienceMost = 1024;
// Sleeping no longer than this was not worth it: about the cost of falling asleep and being woken.
constexpr std::uint64_t kShortSleepNs = 120'000;

}  // namespace

void Poller::wake(Queue& queue) {
  queue.pair().wake_up();
  Queue::Waiting& waiting = queue.waiting;
  if (waiting.awake) {
    return;
  }
  if (waiting.patience == 0) {
    waiting.patience = kPatienceLeast;
  } else if (clock_.now_ns() - waiting.asleep_since_ns > kShortSleepNs) {
    waiting.patience = std::max(waiting.patience / 2, kPatienceLeast);
  } else {
    waiting.patience = waiting.patience < kPatienceMost ? waiting.patience * 2 : kPatienceLeast;
  }
  waiting.looked = 0;
  waiting.awake = true;
  awake_.push_back(&queue);
  schedule();
}

void Poller::remove(Queue& queue) {
  queue.waiting.awake = false;
  std::erase(awake_, &queue);
}

void Poller::schedule() {
  if (!scheduled_) {
    scheduled_ = true;
    seat_.soon([this] { turn(); });
  }
}

void Poller::turn() {
  scheduled_ = false;
  unsigned budget = kPagesPerTurn;
  std::size_t looks = kLooksPerTurn;
  std::size_t in_vain = 0;  // queues in a row that had nothing
  while (budget > 0 && !awake_.empty()) {
    in_vain = serve_next(budget) ? 0 : in_vain + 1;
    if (in_vain != 0 && in_vain >= awake_.size()) {
      if (!look(looks)) {
        break;
      }
      in_vain = 0;
    }
  }
  if (!awake_.empty()) {
    schedule();
  }
}

// Whether there was something to do.
bool Poller::serve_next(unsigned& budget) {
  next_ = next_ < awake_.size() ? next_ : 0;
  Queue& queue = *awake_[next_++];
  const unsigned before = budget;
  const auto served = queue.serve(budget);
  if (served == Queue::Served::kNone) {
    remove(queue);
    return true;
  }
  if (budget != before) {
    queue.waiting.looked = 0;
  }
  // What is in flight wakes the loop when it is done, not the poller.
  if (served == Queue::Served::kAll && queue.in_flight() != 0 && fall_asleep(queue)) {
    remove(queue);
    return true;
  }
  return budget != before;
}

// Whether one of the queues may have something now. The patience of each is used up here.
bool Poller::look(std::size_t& looks) {
  while (looks > 0) {
    looks -= std::min(looks, awake_.size());
    for (std::size_t at = 0; at < awake_.size(); ++at) {
      Queue& queue = *awake_[at];
      if (queue.pair().has_news()) {
        next_ = at;
        return true;
      }
      if (++queue.waiting.looked > queue.waiting.patience && fall_asleep(queue)) {
        remove(queue);
        return !awake_.empty();
      }
    }
    __builtin_ia32_pause();
  }
  // The client may be waiting for this very processor.
  ::sched_yield();
  return false;
}

bool Poller::fall_asleep(Queue& queue) {
  queue.waiting.asleep_since_ns = clock_.now_ns();
  return queue.pair().fall_asleep();
}

}  // namespace fallow::ring
