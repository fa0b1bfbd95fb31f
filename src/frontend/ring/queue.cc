#include "frontend/ring/queue.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/units.h"

namespace fallow::ring {
namespace {

bool reserved_is_zero(const Submission& entry) {
  return (entry.flags | entry.reserved0 | entry.reserved1 | entry.reserved2[0] |
          entry.reserved2[1]) == 0;
}

// In pages: an entry counts as what it moves, up to the largest transfer.
unsigned cost_of(const Submission& entry) {
  return 1 + std::min(entry.length, kTransferBytesMax) / static_cast<unsigned>(2 * kPageSize);
}

}  // namespace

Queue::Queue(QueuePair pair, Attachment& attachment, Regions& regions, Counters& counters,
             Owner& owner)
    : pair_(std::move(pair)),
      counters_(counters),
      owner_(owner),
      executor_(attachment.make_executor(regions, *this, pair_.entries())) {}

Queue::~Queue() {
  CHECK(in_flight() == 0);
}

Queue::Served Queue::serve(unsigned& budget) {
  if (retired_) {
    return Served::kNone;
  }
  serving_ = true;
  unsigned taken = 0;
  Served served = Served::kSome;
  while (budget > 0) {
    if (unfinished_) {
      Answer answer;
      settle(executor_->go_on(answer), answer);
      budget = 0;
      break;
    }
    Submission entry;
    const auto take = pair_.take(entry);
    if (take != QueuePair::Take::kEntry) {
      served = take == QueuePair::Take::kEmpty ? Served::kAll : Served::kNone;
      break;
    }
    begin(entry);
    budget -= std::min(budget, cost_of(entry));
    ++taken;
    // Each answer before the next entry: a client whose daemon is killed here submits again what it
    // saw no answer for, and a get that was followed by a put of its page must not be among it.
    if (!show()) {
      break;
    }
  }
  serving_ = false;
  counters_.entries.fetch_add(taken, std::memory_order_relaxed);
  if (!show()) {
    return Served::kNone;
  }
  if (served == Served::kNone) {
    owner_.queue_broken(pair_.why());
  }
  return served;
}

void Queue::begin(const Submission& entry) {
  current_ = entry.user_data;
  Answer answer;
  if (!reserved_is_zero(entry)) {
    answer.result = -EINVAL;
    settle(Executor::Step::kAnswered, answer);
    return;
  }
  settle(executor_->begin(entry, answer), answer);
}

void Queue::settle(Executor::Step step, const Answer& answer) {
  unfinished_ = step == Executor::Step::kUnfinished;
  if (step == Executor::Step::kAnswered) {
    pair_.complete({current_, answer.result, answer.value});
  }
}

void Queue::answer(std::uint64_t user_data, const Answer& answer) {
  pair_.complete({user_data, answer.result, answer.value});
  if (!serving_) {
    show();
  }
  owner_.entry_done();
}

// Memory that went away may have been read as zeros: then nothing counts as done.
bool Queue::show() {
  if (retired_ || !owner_.memory_intact()) {
    return false;
  }
  pair_.publish();
  return true;
}

}  // namespace fallow::ring
