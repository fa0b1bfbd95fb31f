// One queue pair at work: entries out of shared memory, to the executor, and answers back in.
//
// One thread, the session's; destroyed only when nothing is in flight.
#pragma once

#include <cstdint>
#include <memory>

#include "frontend/ring/connection.h"
#include "frontend/ring/executor.h"
#include "ring/queue_pair.h"

namespace fallow::ring {

class Queue final : private Executor::Sink {
 public:
  // What a queue needs of its session, which outlives it.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Never with an answer on its way: it may end the session, but not destroy the queue.
    virtual void queue_broken(const char* why) = 0;
    // After entries were carried out, before anything of them is shown to the client. False when
    // nothing may be shown any more.
    virtual bool memory_intact() = 0;
    // After an entry that was in flight has been answered.
    virtual void entry_done() = 0;
  };
  // What serve() has found.
  enum class Served {
    kAll,   // the queue is empty
    kSome,  // there is more to do
    kNone,  // the queue is of no use any more
  };

  Queue(QueuePair pair, Attachment& attachment, Regions& regions, Counters& counters, Owner& owner);
  ~Queue() override;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Carries out entries that together cost up to `budget` pages, which it counts down.
  Served serve(unsigned& budget);
  // From now on nothing is taken and nothing is shown.
  void retire() { retired_ = true; }

  [[nodiscard]] QueuePair& pair() { return pair_; }
  // Entries that the executor will answer by itself.
  [[nodiscard]] std::uint32_t in_flight() const { return begun_ - (unfinished_ ? 1u : 0u); }
  [[nodiscard]] bool retired() const { return retired_; }

  // The poller's own: how this queue is waited for.
  struct Waiting {
    bool awake = false;
    std::uint32_t patience = 0;  // looks in vain before it falls asleep
    std::uint32_t looked = 0;    // in vain, since the last entry
    std::uint64_t asleep_since_ns = 0;
  };
  Waiting waiting;

 private:
  void answer(std::uint64_t user_data, const Answer& answer) override;
  [[nodiscard]] Served serve_entries(unsigned& budget);
  [[nodiscard]] bool show_answer(unsigned taken);
  void foresee();
  void begin(const Submission& entry);
  void settle(Executor::Step step, const Answer& answer);
  void complete(std::uint64_t user_data, const Answer& answer);
  void count();
  [[nodiscard]] bool intact();

  QueuePair pair_;
  Counters& counters_;
  Owner& owner_;
  std::unique_ptr<Executor> executor_;
  std::uint32_t begun_ = 0;      // entries begun and not answered
  std::uint32_t uncounted_ = 0;  // answered, and not in the counters yet
  std::uint64_t current_ = 0;    // user_data of the entry that the executor has in hand
  bool unfinished_ = false;      // the executor wants go_on() for it
  bool serving_ = false;
  bool retired_ = false;
};

}  // namespace fallow::ring
