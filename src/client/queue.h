// A queue pair as the program sees it: operations in, outcomes out, whichever daemon carries them
// out. Every operation stays in its slot until it is complete, so that what a daemon left undone
// can be submitted to the next one, in order.
//
// What the old daemon completed is taken from its queue first. Of what is left, it may have carried
// out the beginning without saying so; doing that again, in order, ends in the same state.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client/client.h"
#include "fallow/fallow.h"
#include "ring/abi.h"
#include "ring/producer.h"

namespace fallow::client {

struct Operation {
  ring::Opcode opcode = ring::Opcode::kNop;
  std::uint32_t length = 0;  // bytes
  PoolHandle pool = 0;
  std::uint32_t index = 0;
  std::uint64_t object = 0;
  void* memory = nullptr;  // `length` bytes, where data moves
};

// Where the outcome of an operation that somebody waits for goes.
struct Outcome {
  bool done = false;
  int result = 0;
  std::uint32_t value = 0;
};

class Queue {
 public:
  // `depth`: asynchronous operations in flight. Functions that return int give 0 or a count, or
  // fail() with a text.
  static int open(Client& client, unsigned depth, std::unique_ptr<Queue>& made);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  [[nodiscard]] Client& client() const { return client_; }

  // One operation from beginning to end. `value`: of the completion, unless nullptr.
  int run(const Operation& operation, std::uint32_t* value = nullptr);

  // The same in two steps, for several at once. begin() waits for room; `outcome` stays where it is
  // until await() has returned.
  int begin(const Operation& operation, Outcome& outcome);
  // The result; on failure the operation is withdrawn. It may have happened.
  int await(Outcome& outcome);

  // The asynchronous ones, as fallow.h has them.
  int submit(const Operation& operation, std::uint64_t user_data);
  int publish();
  int poll(fallow_completion* completions, unsigned max);
  int wait(fallow_completion* completions, unsigned max, int timeout_ms);

  int open_pool(const PoolLabel& label, PoolHandle& handle);
  int destroy_pool(PoolHandle handle);

 private:
  using SlotIndex = std::uint16_t;

  struct Slot {
    Operation operation;
    std::byte* bounce = nullptr;  // stands for operation.memory when that is not registered
    Outcome* outcome = nullptr;   // nullptr: asynchronous
    std::uint64_t user_data = 0;
    std::uint64_t sequence = 0;  // 0: free
  };

  Queue(Client& client, unsigned depth, std::uint32_t entries);

  int admit(const Operation& operation);
  int enter(const Operation& operation, Outcome* outcome, std::uint64_t user_data);
  int give_memory(Slot& slot, SlotIndex index);
  std::byte* bounce_for(SlotIndex index, std::uint32_t length);
  [[nodiscard]] const RegionView* find_region(const void* memory, std::uint32_t length) const;
  [[nodiscard]] int make_entry(const Slot& slot, SlotIndex index, ring::Submission& entry) const;

  int progress(std::uint64_t until_ns);
  void drain();
  bool finish(const ring::Completion& completion);
  void settle(SlotIndex index, int result, std::uint32_t value);
  void let_go(SlotIndex index);
  void withdraw(const Outcome& outcome);
  unsigned hand_over(fallow_completion* completions, unsigned max);

  void refresh();
  int recover(std::uint64_t until_ns);
  void lose();
  int reopen();
  void resubmit();

  Client& client_;
  const unsigned depth_;
  const std::uint32_t entries_;

  std::shared_ptr<Connection> connection_;
  std::uint32_t id_ = 0;
  std::unique_ptr<ring::Producer> producer_;  // nullptr: the daemon is away
  View view_;

  std::vector<Slot> slots_;      // as many as entries
  std::vector<SlotIndex> free_;  // the one used last is the warmest
  std::uint64_t sequence_ = 0;
  unsigned asynchronous_ = 0;  // in flight, or ready and not taken
  std::uint64_t settled_ = 0;  // ever
  unsigned idle_polls_ = 0;

  std::vector<fallow_completion> ready_;  // a ring
  std::size_t ready_first_ = 0;
  std::size_t ready_count_ = 0;

  std::byte* pages_ = nullptr;  // a page for each slot
  struct Chunk {
    std::byte* memory;
    bool taken;
  };
  std::vector<Chunk> chunks_;  // for longer transfers
};

}  // namespace fallow::client
