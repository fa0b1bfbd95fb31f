// Where a pager's faults come from: the userfaultfds of its address spaces, watched together. Looks
// at the one that spoke last for as long as that has paid, and sleeps then.
//
// next(): one thread at a time. The rest: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "pager/userfault.h"
#include "ring/spin_budget.h"

namespace fallow::pager {

class FaultSource {
 public:
  // `clock` outlives the source.
  static Result<std::unique_ptr<FaultSource>> create(const Clock& clock);

  // `faults` stays until it is removed.
  Status add(const UserFault& faults, std::uint32_t space);
  void remove(const UserFault& faults);

  // The next message, and which space it is of. `gate` was locked before it was read, and is still.
  // False: stop() was called.
  bool next(uffd_msg& message, std::uint32_t& space, std::unique_lock<std::shared_mutex>& gate);
  void stop();

 private:
  explicit FaultSource(const Clock& clock) : clock_(clock) {}
  bool look(uffd_msg& message, std::unique_lock<std::shared_mutex>& gate);

  bool others();

  const Clock& clock_;
  UniqueFd epoll_;
  UniqueFd stop_;
  std::mutex mutex_;
  std::map<std::uint32_t, const UserFault*> spaces_;  // guarded by mutex_
  const UserFault* last_ = nullptr;                   // guarded by mutex_
  std::uint32_t last_space_ = 0;
  unsigned in_a_row_ = 0;  // messages of that one, without asking for others'
  // About what it costs to fall asleep and to be woken.
  ring::SpinBudget looking_{60'000, 2'000};
};

}  // namespace fallow::pager
