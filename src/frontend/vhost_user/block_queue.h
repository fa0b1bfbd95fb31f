// One started ring at work: chains in, requests to the device, completions back into the ring.
//
// Owns a request slot for every descriptor head, so nothing is allocated while it runs; a slot's
// memory is touched only once its head is used. One thread, the session's; destroyed only when
// nothing is in flight.
//
// Invariants:
// 1. A slot is in flight from submit() to done(); a head that the driver posts again meanwhile
//    breaks the ring.
// 2. A request's guest memory is written only until abandon(); its segments stay mapped until
// done().
#pragma once

#include <memory>

#include "base/file.h"
#include "frontend/vhost_user/block_request.h"
#include "frontend/vhost_user/export_statistics.h"
#include "frontend/vhost_user/virtqueue.h"

namespace fallow::vhost_user {

class BlockQueue {
 public:
  // What a queue needs of its session, which outlives it.
  class Owner {
   public:
    virtual ~Owner() = default;
    // After each request's done(), whether its session is in a turn or not.
    virtual void request_done() = 0;
  };
  struct Environment {
    BlockDevice& device;
    const DeviceShape& shape;
    const GuestMemory& memory;
    Chain& scratch;
    ExportCounters& counters;
    // Where what requests write to guest memory is marked, while `logs_data`.
    DirtyLog& log;
    const bool& logs_data;
    Owner& owner;
  };
  enum class Served {
    kAll,     // the ring is empty and the driver will notify
    kSome,    // the budget is used up: serve again soon
    kBroken,  // the ring is of no use any more
  };

  BlockQueue(Virtqueue ring, const Environment& environment);
  ~BlockQueue();
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;

  // Submits what was in flight in a former life and has not been submitted yet, whether the ring is
  // being served or not. False when that breaks the ring.
  [[nodiscard]] bool resubmit();
  // Takes up to `budget` chains; `call` is the driver's eventfd, or -1.
  Served serve(unsigned budget, int call);
  // Shows completions to the driver and notifies it if it wants to be.
  void flush(int call);
  // From now on nothing is written to the ring: the driver has gone.
  void abandon() { abandoned_ = true; }
  Status remap() { return ring_.remap(environment_.memory); }
  // As Virtqueue::set_used_log(), with the environment's log.
  void log_used_ring(bool on, std::uint64_t address) {
    ring_.set_used_log(on ? &environment_.log : nullptr, address);
  }

  [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] std::uint16_t next_available() const { return ring_.next_available(); }

 private:
  static void on_done(IoRequest* request, IoStatus status);
  // False when the chain has broken the ring.
  [[nodiscard]] bool start(const Chain& chain);
  void submit(BlockRequest& request);
  void answer(BlockRequest& request, std::uint8_t status);
  void mark_data(const BlockRequest& request);
  [[nodiscard]] bool await_chain();
  Served break_ring();

  Environment environment_;
  Virtqueue ring_;
  std::unique_ptr<BlockRequest[]> requests_;
  std::unique_ptr<SegmentRoom[]> rooms_;
  std::uint64_t in_flight_ = 0;
  unsigned spins_;  // how long await_chain() looks for more
  bool broken_ = false;
  bool abandoned_ = false;
};

}  // namespace fallow::vhost_user
