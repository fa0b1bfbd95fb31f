// The daemon's side of one queue pair: submissions come out of shared memory, completions go in.
//
// The client may write all of the memory at any time, and is not believed: both indices that matter
// here are private, an entry is copied exactly once before anybody looks at it, and an index that
// the rules of abi.h forbid breaks the queue for good. Whatever the client writes, entries come out
// in order, each slot at most once a round, and no completion that it has not taken is overwritten.
//
// The memory is a memfd of ours, sealed against being cut, so touching it never faults. One thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/file.h"
#include "base/result.h"
#include "ring/abi.h"

namespace fallow::ring {

class QueuePair {
 public:
  enum class Take {
    kEntry,
    kEmpty,
    kBroken,  // the client has broken the rules: why() says how; never anything else again
  };

  // Whether a queue may have so many: a power of two within kEntriesMin and kEntriesMax.
  static Status check_entries(std::uint32_t entries);
  static Result<QueuePair> create(std::uint32_t entries);

  // For the client: the memory, queue_bytes(entries()) long, and the eventfd that wakes us.
  [[nodiscard]] int memory_fd() const { return memory_fd_.get(); }
  [[nodiscard]] int doorbell_fd() const { return doorbell_.get(); }
  // The client has its own descriptor now; the mapping stays.
  void close_memory_fd() { memory_fd_.reset(); }
  [[nodiscard]] std::uint32_t entries() const { return entries_; }

  // Copies the next submission out.
  [[nodiscard]] Take take(Submission& entry);
  // A copy of the entry that take() will give after `ahead` others, if the last look saw so many.
  // The client may still change it: good for hints, and nothing else.
  [[nodiscard]] bool peek(std::uint32_t ahead, Submission& entry) const;
  // Whether take() would not say kEmpty: one load, for looking again and again.
  [[nodiscard]] bool has_news() const;
  // One for each entry taken, in any order. Shown by the next show() or publish().
  void complete(const Completion& completion);
  // Shows the client what was completed. Cheap enough for each entry.
  void show();
  // Shows what was taken and completed, and wakes the client if it sleeps and has something new.
  void publish();

  // Asks for the doorbell. False when there is news already: then the doorbell may stay silent.
  [[nodiscard]] bool fall_asleep();
  // Wants no doorbell any more, and silences the one that rang.
  void wake_up();

  // Entries taken and not completed.
  [[nodiscard]] std::uint32_t in_flight() const { return taken_ - completed_; }
  // Static text; nullptr while the client keeps the rules.
  [[nodiscard]] const char* why() const { return why_; }

 private:
  QueuePair(std::uint32_t entries, Mapping memory, UniqueFd memory_fd, UniqueFd doorbell);
  [[nodiscard]] Take look();

  [[nodiscard]] QueueHead& head() const { return *reinterpret_cast<QueueHead*>(memory_.data()); }
  static std::atomic_ref<std::uint32_t> word(std::uint32_t& word) { return std::atomic_ref(word); }

  Mapping memory_;
  UniqueFd memory_fd_;
  UniqueFd doorbell_;
  std::uint32_t entries_;
  const Submission* submissions_;
  Completion* completions_;
  std::uint32_t submitted_ = 0;  // as the client last said, and it was plausible
  std::uint32_t consumed_ = 0;   // likewise
  std::uint32_t taken_ = 0;
  std::uint32_t completed_ = 0;
  std::uint32_t taken_shown_ = 0;
  std::uint32_t completed_shown_ = 0;
  std::uint32_t completed_told_ = 0;  // when the client was last looked after
  const char* why_ = nullptr;
};

}  // namespace fallow::ring
