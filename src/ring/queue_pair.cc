#include "ring/queue_pair.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <climits>

#include "base/check.h"
#include "base/foreign_memory.h"

namespace fallow::ring {
namespace {

// Reserved whole, so that no access can fail for want of memory later.
Result<UniqueFd> make_memory(std::uint64_t bytes) {
  UniqueFd fd(::memfd_create("fallow-queue", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    return failed_errno("cannot make a queue's memory", errno);
  }
  CHECK(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
  return fd;
}

// Shared, not private: the sleeper is in another process.
void wake_sleepers(std::uint32_t& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

Status QueuePair::check_entries(std::uint32_t entries) {
  if (entries < kEntriesMin || entries > kEntriesMax || !std::has_single_bit(entries)) {
    return invalid("a queue has a power of two of entries, " + std::to_string(kEntriesMin) +
                   " to " + std::to_string(kEntriesMax) + ", not " + std::to_string(entries));
  }
  return {};
}

Result<QueuePair> QueuePair::create(std::uint32_t entries) {
  FALLOW_TRY(check_entries(entries));
  const std::uint64_t bytes = queue_bytes(entries);
  auto memory_fd = make_memory(bytes);
  if (!memory_fd) {
    return memory_fd.error();
  }
  auto memory = Mapping::map_shared(memory_fd->get(), 0, bytes);
  if (!memory) {
    return memory.error();
  }
  UniqueFd doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell.valid()) {
    return failed_errno("cannot make a queue's doorbell", errno);
  }
  return QueuePair(entries, std::move(*memory), std::move(*memory_fd), std::move(doorbell));
}

QueuePair::QueuePair(std::uint32_t entries, Mapping memory, UniqueFd memory_fd, UniqueFd doorbell)
    : memory_(std::move(memory)),
      memory_fd_(std::move(memory_fd)),
      doorbell_(std::move(doorbell)),
      entries_(entries),
      submissions_(reinterpret_cast<const Submission*>(memory_.data() + kSubmissionsOffset)),
      completions_(reinterpret_cast<Completion*>(memory_.data() + completions_offset(entries))) {}

QueuePair::Take QueuePair::take(Submission& entry) {
  if (submitted_ == taken_) {
    if (const Take looked = look(); looked != Take::kEntry) {
      return looked;
    }
  }
  copy_once(&entry, submissions_ + (taken_ & (entries_ - 1)), sizeof entry);
  ++taken_;
  return Take::kEntry;
}

bool QueuePair::peek(std::uint32_t ahead, Submission& entry) const {
  if (submitted_ - taken_ <= ahead) {
    return false;
  }
  copy_once(&entry, submissions_ + ((taken_ + ahead) & (entries_ - 1)), sizeof entry);
  return true;
}

// kEntry: there are some.
QueuePair::Take QueuePair::look() {
  if (why_ != nullptr) {
    return Take::kBroken;
  }
  // acquire: pairs with the client's release of `submitted`, after it has filled the entries. It
  // has published what it consumed before, so what is read second here is never too old for the
  // first.
  const std::uint32_t submitted = word(head().client.submitted).load(std::memory_order_acquire);
  // acquire: pairs with the client's release of `consumed`, after it has read the completions.
  const std::uint32_t consumed = word(head().client.consumed).load(std::memory_order_acquire);
  if (consumed - consumed_ > completed_shown_ - consumed_) {
    why_ = "it consumed completions that were not there";
    return Take::kBroken;
  }
  if (submitted - taken_ > entries_ - (taken_ - consumed)) {
    why_ = "it submitted more entries than its queue has room to complete";
    return Take::kBroken;
  }
  consumed_ = consumed;
  submitted_ = submitted;
  return submitted == taken_ ? Take::kEmpty : Take::kEntry;
}

bool QueuePair::has_news() const {
  return word(head().client.submitted).load(std::memory_order_relaxed) != taken_;
}

void QueuePair::complete(const Completion& completion) {
  DCHECK(in_flight() != 0);
  std::memcpy(completions_ + (completed_ & (entries_ - 1)), &completion, sizeof completion);
  ++completed_;
}

// Each store takes the line from a client that is looking at it, so none is made for nothing.
void QueuePair::show() {
  if (completed_ != completed_shown_) {
    completed_shown_ = completed_;
    // release: pairs with the client's acquire, before it reads the completions.
    word(head().daemon.completed).store(completed_, std::memory_order_release);
  }
}

void QueuePair::publish() {
  if (taken_ != taken_shown_) {
    taken_shown_ = taken_;
    // release: pairs with the client's acquire, before it fills the slots again.
    word(head().daemon.taken).store(taken_, std::memory_order_release);
  }
  show();
  if (completed_told_ == completed_) {
    return;
  }
  completed_told_ = completed_;
  // Pairs with the client's fence between its `waiting` and its last look at `completed`.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (word(head().client.waiting).load(std::memory_order_relaxed) == 1) {
    wake_sleepers(head().daemon.completed);
  }
}

bool QueuePair::fall_asleep() {
  word(head().daemon.waiting).store(1, std::memory_order_relaxed);
  // Pairs with the client's fence between its `submitted` and its look at `waiting`.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!has_news()) {
    return true;
  }
  word(head().daemon.waiting).store(0, std::memory_order_relaxed);
  return false;
}

// The client shares the eventfd and can make it block: hence the flag with each read.
void QueuePair::wake_up() {
  word(head().daemon.waiting).store(0, std::memory_order_relaxed);
  std::uint64_t count = 0;
  const iovec part{&count, sizeof count};
  [[maybe_unused]] const ssize_t got = ::preadv2(doorbell_.get(), &part, 1, -1, RWF_NOWAIT);
}

}  // namespace fallow::ring
