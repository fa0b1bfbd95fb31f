// Serves the queues of one loop by turns, and decides how long to look for more before it sleeps.
//
// Waking an idle processor costs tens of microseconds; a look costs some nanoseconds. So a queue
// that had entries is looked at for a while before its client is asked to ring, all awake queues of
// the loop together, and the loop's other work has its turn every few microseconds. How long is
// each queue's own: woken soon after it fell asleep, it looks for twice as long the next time;
// having looked for the longest in vain, it begins anew with the shortest.
//
// One thread, the loop's.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "frontend/ring/loop_seat.h"
#include "frontend/ring/queue.h"

namespace fallow::ring {

class Poller {
 public:
  // The clock outlives the poller; the seat ends with it or after it, and does nothing between.
  Poller(LoopSeat& seat, const Clock& clock) : seat_(seat), clock_(clock) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Serves the queue until it is empty and falls asleep. For a new queue, and when its doorbell
  // rang.
  void wake(Queue& queue);
  // Before the queue is destroyed; from within serve() too.
  void remove(Queue& queue);

 private:
  void schedule();
  void turn();
  [[nodiscard]] bool serve_next(unsigned& budget);
  [[nodiscard]] bool look(std::size_t& looks);
  [[nodiscard]] bool fall_asleep(Queue& queue);

  LoopSeat& seat_;
  const Clock& clock_;
  std::vector<Queue*> awake_;
  std::size_t next_ = 0;  // whose turn it is
  bool scheduled_ = false;
};

}  // namespace fallow::ring
