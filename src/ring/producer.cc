#include "ring/producer.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <ctime>
#include <string>

namespace fallow::ring {
namespace {

// Between two readings of the clock: half a microsecond of pauses.
constexpr unsigned kLooksPerReading = 12;
std::atomic_ref<std::uint32_t> shared(std::uint32_t& word) {
  return std::atomic_ref<std::uint32_t>(word);
}

// Returns at a wake-up, when the word is not `expected`, at a signal, and after the timeout.
void futex_wait(const std::uint32_t& word, std::uint32_t expected, std::uint64_t timeout_ns) {
  timespec timeout{};
  timeout.tv_sec =
      static_cast<time_t>(std::min<std::uint64_t>(timeout_ns / 1'000'000'000, INT_MAX));
  timeout.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000);
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

}  // namespace

Result<std::unique_ptr<Producer>> Producer::create(Mapping memory, UniqueFd doorbell,
                                                   std::uint32_t entries, const Clock& clock) {
  if (entries < kEntriesMin || entries > kEntriesMax || !std::has_single_bit(entries)) {
    return invalid("a queue of " + std::to_string(entries) +
                   " entries: the daemon may open them of 2 to 1024, a power of two");
  }
  if (memory.size() < queue_bytes(entries)) {
    return invalid("a queue's memory of " + std::to_string(memory.size()) + " bytes where " +
                   std::to_string(queue_bytes(entries)) + " are needed");
  }
  return std::unique_ptr<Producer>(
      new Producer(std::move(memory), std::move(doorbell), entries, clock));
}

Producer::Producer(Mapping memory, UniqueFd doorbell, std::uint32_t entries, const Clock& clock)
    : memory_(std::move(memory)),
      doorbell_(std::move(doorbell)),
      entries_(entries),
      clock_(clock),
      ours_(reinterpret_cast<QueueHead*>(memory_.data())->client),
      theirs_(reinterpret_cast<QueueHead*>(memory_.data())->daemon),
      submissions_(reinterpret_cast<Submission*>(memory_.data() + kSubmissionsOffset)),
      completions_(
          reinterpret_cast<const Completion*>(memory_.data() + completions_offset(entries))) {}

void Producer::push(const Submission& submission) {
  submissions_[pushed_ & (entries_ - 1)] = submission;
  ++pushed_;
}

void Producer::publish() {
  if (published_ == pushed_) {
    return;
  }
  published_ = pushed_;
  // release: pairs with the daemon's acquire of `submitted`, which must see the entries.
  shared(ours_.submitted).store(pushed_, std::memory_order_release);
  // Pairs with the daemon's fence between `waiting` and its last look at `submitted`: one of the
  // two sees the other's store.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // relaxed: ordered by the fence above.
  if (shared(theirs_.waiting).load(std::memory_order_relaxed) != 0) {
    const std::uint64_t one = 1;
    while (::write(doorbell_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
}

std::uint32_t Producer::completed() const {
  // acquire: pairs with the daemon's release; the completions and the data of gets come before.
  return shared(theirs_.completed).load(std::memory_order_acquire);
}

int Producer::take(Completion* completions, unsigned max) {
  const std::uint32_t ready = completed() - consumed_;
  if (ready > published_ - consumed_) {
    return -1;
  }
  const std::uint32_t taken = std::min<std::uint32_t>(ready, max);
  for (std::uint32_t i = 0; i < taken; ++i) {
    completions[i] = completions_[(consumed_ + i) & (entries_ - 1)];
  }
  if (taken > 0) {
    consumed_ += taken;
    // release: the daemon may use the places again once it sees this.
    shared(ours_.consumed).store(consumed_, std::memory_order_release);
  }
  return static_cast<int>(taken);
}

Producer::Wait Producer::wait(std::uint64_t timeout_ns) {
  const std::uint64_t limit_ns = looking_.limit_ns();
  if (look(std::min(timeout_ns, limit_ns))) {
    looking_.found();
    return Wait::kCompletion;
  }
  if (timeout_ns > limit_ns) {
    looking_.missed();
    sleep(timeout_ns - limit_ns);
  }
  return news() ? Wait::kCompletion : Wait::kTimeout;
}

bool Producer::look(std::uint64_t limit_ns) {
  const std::uint64_t start_ns = clock_.now_ns();
  if (look_until(start_ns + std::min(limit_ns, alone_.limit_ns()), [] {})) {
    alone_.found();
    return true;
  }
  alone_.missed();
  return look_until(start_ns + limit_ns, [] { ::sched_yield(); });
}

template <typename Between>
bool Producer::look_until(std::uint64_t end_ns, Between between) {
  do {
    for (unsigned i = 0; i < kLooksPerReading; ++i) {
      if (news()) {
        return true;
      }
      _mm_pause();
    }
    between();
  } while (clock_.now_ns() < end_ns);
  return news();
}

void Producer::sleep(std::uint64_t timeout_ns) {
  // relaxed: the fence orders it. Pairs with the daemon's fence between `completed` and its look at
  // `waiting`.
  shared(ours_.waiting).store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint32_t seen = completed();
  if (seen == consumed_) {
    futex_wait(theirs_.completed, seen, timeout_ns);
  }
  shared(ours_.waiting).store(0, std::memory_order_relaxed);
}

}  // namespace fallow::ring
