// What a session's entries act on: pages of the store, or a disk.
//
// All on the session's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "frontend/ring/regions.h"
#include "ring/abi.h"

namespace fallow::ring {

struct Answer {
  std::int32_t result = 0;
  std::uint32_t value = 0;
};

// Carries out the entries of one queue.
class Executor {
 public:
  // Where an entry that was in flight is answered: the queue.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void answer(std::uint64_t user_data, const Answer& answer) = 0;
  };
  enum class Step {
    kAnswered,    // the answer is filled in
    kInFlight,    // the sink gets it later, or has it already
    kUnfinished,  // a long operation has done a part: go_on() comes before any other entry
  };

  virtual ~Executor() = default;
  // `entry` is a private copy whose reserved fields are zero; nothing else in it has been checked.
  virtual Step begin(const Submission& entry, Answer& answer) = 0;
  // An entry that probably comes, after some others or as one of the next: for a prefetch. It may
  // be changed yet, and nothing in it has been checked.
  enum class Nearness { kSome, kNext };
  virtual void foresee(const Submission& /*entry*/, Nearness /*nearness*/) {}
  // The next part of what is unfinished. It may be dropped instead.
  virtual Step go_on(Answer& answer) = 0;
};

// What one session is attached to.
class Attachment {
 public:
  virtual ~Attachment() = default;
  // Fills in what a Welcome says of it.
  virtual void introduce(Welcome& welcome) const = 0;
  // The client wants its pages to wait for it so long when its connection ends. Errors are told.
  virtual Status keep(std::uint32_t seconds) = 0;
  // `regions` and `sink` outlive the executor, as does the attachment.
  virtual std::unique_ptr<Executor> make_executor(Regions& regions, Executor::Sink& sink,
                                                  std::uint32_t entries) = 0;
};

}  // namespace fallow::ring
