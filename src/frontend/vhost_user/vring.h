// What a front end has set up of one ring, and its BlockQueue while the ring is started.
//
// A ring starts when its kick descriptor comes and stops with GET_VRING_BASE. Its settings cannot
// change in between. One thread, the session's.
#pragma once

#include <memory>
#include <optional>

#include "base/file.h"
#include "frontend/vhost_user/block_queue.h"
#include "frontend/vhost_user/messages.h"

namespace fallow::vhost_user {

class Vring {
 public:
  Status set_size(std::uint32_t size);
  // Of a started ring only what is logged of it can change.
  Status set_addresses(const VringAddress& addresses);
  // Whether the front end wants writes to the used ring in the dirty log.
  [[nodiscard]] bool logs_used_ring() const;
  Status set_base(std::uint32_t base);
  [[nodiscard]] std::uint16_t base() const { return base_; }
  // True once it has been started.
  [[nodiscard]] bool begun() const { return begun_; }
  void set_enabled(bool enabled) { enabled_ = enabled; }
  // Notifies at once: a former life may have shown completions and died before it could say so.
  void set_call(UniqueFd call);
  void set_error(UniqueFd error) { error_ = std::move(error); }

  // Starts the ring, or only changes the kick descriptor of a started one.
  Status start(UniqueFd kick, std::uint64_t features, InflightLog inflight,
               const BlockQueue::Environment& environment);
  // Nothing may be in flight. What the driver made available next: GET_VRING_BASE's answer.
  std::uint16_t stop();
  // Forgets all that was set up. Nothing may be in flight.
  void reset();

  BlockQueue::Served serve(unsigned budget) { return queue_->serve(budget, call_.get()); }
  void flush() { queue_->flush(call_.get()); }
  void signal_error();

  [[nodiscard]] BlockQueue* queue() const { return queue_.get(); }
  [[nodiscard]] bool started() const { return queue_ != nullptr; }
  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] int kick_fd() const { return kick_.get(); }

 private:
  [[nodiscard]] Status check_stopped() const;
  void apply_used_log();

  std::uint32_t size_ = 0;
  std::uint16_t base_ = 0;
  bool begun_ = false;  // has been started
  std::optional<VringAddress> addresses_;
  UniqueFd kick_;
  UniqueFd call_;
  UniqueFd error_;
  bool enabled_ = false;
  std::unique_ptr<BlockQueue> queue_;
};

}  // namespace fallow::vhost_user
