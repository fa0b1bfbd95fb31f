#include "frontend/ring/queue.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/units.h"

namespace fallow::ring {
namespace {

// How many entries ahead what is hinted to the executor: a get takes about as long as memory.
constexpr std::uint32_t kForeseenSome = 3;
constexpr std::uint32_t kForeseenNext = 1;

// A client that sleeps is woken for so many answers, or for all that there are.
constexpr unsigned kWakeEvery = 16;

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
  const Served served = serve_entries(budget);
  serving_ = false;
  count();
  if (!intact()) {
    return Served::kNone;
  }
  pair_.publish();
  if (served == Served::kNone) {
    owner_.queue_broken(pair_.why());
  }
  return served;
}

Queue::Served Queue::serve_entries(unsigned& budget) {
  for (unsigned taken = 0; budget > 0; ++taken) {
    if (unfinished_) {
      Answer answer;
      settle(executor_->go_on(answer), answer);
      budget = 0;
      break;
    }
    Submission entry;
    const auto take = pair_.take(entry);
    if (take != QueuePair::Take::kEntry) {
      return take == QueuePair::Take::kEmpty ? Served::kAll : Served::kNone;
    }
    // Each answer before the next entry: a client whose daemon is killed here submits again what it
    // saw no answer for, and a get that was followed by a put of its page must not be among it.
    if (taken != 0 && !show_answer(taken)) {
      return Served::kNone;
    }
    foresee();
    begin(entry);
    budget -= std::min(budget, cost_of(entry));
  }
  return Served::kSome;
}

bool Queue::show_answer(unsigned taken) {
  if (!intact()) {
    return false;
  }
  if (taken % kWakeEvery == 0) {
    pair_.publish();
  } else {
    pair_.show();
  }
  return true;
}

// What comes in the middle of a full queue is on its way from memory when its turn comes.
void Queue::foresee() {
  Submission entry;
  if (pair_.peek(kForeseenSome, entry)) {
    executor_->foresee(entry, Executor::Nearness::kSome);
  }
  if (pair_.peek(kForeseenNext, entry)) {
    executor_->foresee(entry, Executor::Nearness::kNext);
  }
}

void Queue::begin(const Submission& entry) {
  current_ = entry.user_data;
  ++begun_;
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
    complete(current_, answer);
  }
}

void Queue::complete(std::uint64_t user_data, const Answer& answer) {
  --begun_;
  ++uncounted_;
  pair_.complete({user_data, answer.result, answer.value});
}

void Queue::answer(std::uint64_t user_data, const Answer& answer) {
  complete(user_data, answer);
  if (!serving_) {
    count();
    if (intact()) {
      pair_.publish();
    }
  }
  owner_.entry_done();
}

void Queue::count() {
  counters_.entries.fetch_add(std::exchange(uncounted_, 0), std::memory_order_relaxed);
}

// Whether answers are worth anything: memory that went away may have been read as zeros.
bool Queue::intact() {
  return !retired_ && owner_.memory_intact();
}

}  // namespace fallow::ring
