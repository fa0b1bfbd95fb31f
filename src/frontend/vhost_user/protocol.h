// What each message of a front end means: carries it out on the rings and answers it. Knows nothing
// of the connection's life: when a message may be carried out, and what a failure leads to, is for
// the session to say.
//
// One thread, the session's.
#pragma once

#include <optional>

#include "frontend/vhost_user/message_channel.h"
#include "frontend/vhost_user/ring_set.h"

namespace fallow::vhost_user {

class Protocol {
 public:
  // All three outlive it.
  Protocol(const DeviceShape& shape, RingSet& rings, MessageChannel& channel)
      : shape_(shape), rings_(rings), channel_(channel) {}

  // Whether the message may only be carried out while nothing is in flight.
  static bool needs_quiet_rings(RequestType type);
  // Whether the front end is to be told of the message's success or failure, beyond an answer that
  // the message has anyway.
  [[nodiscard]] bool acknowledges(const Message& message) const;
  // Carries out a message that has passed check_shape(). An error is the front end's fault, or that
  // of a socket that takes no answer.
  [[nodiscard]] Status carry_out(Message& message);
  // Tells the front end, if it has asked for that, that the configuration space has changed.
  void config_changed();

 private:
  [[nodiscard]] Status carry_out_on_ring(Message& message);
  [[nodiscard]] Status set_features(std::uint64_t features);
  [[nodiscard]] Status set_protocol_features(std::uint64_t features);
  [[nodiscard]] Status set_memory_table(Message& message);
  [[nodiscard]] Status add_memory_region(const Message& message);
  [[nodiscard]] Status set_log_base(const Message& message);
  [[nodiscard]] Status set_log_fd(Message& message);
  [[nodiscard]] Status set_backend_channel(Message& message);
  [[nodiscard]] Status get_config(const Message& message);
  [[nodiscard]] Status get_inflight_fd(const Message& message);
  [[nodiscard]] Status set_inflight_fd(const Message& message);
  [[nodiscard]] Status set_vring_kick(Message& message);
  [[nodiscard]] Status set_vring_call_or_error(Message& message);
  [[nodiscard]] Status set_vring_enable(const VringState& state);
  [[nodiscard]] Status get_vring_base(const Message& message, std::uint32_t index);
  [[nodiscard]] bool negotiated(unsigned protocol_feature) const;
  [[nodiscard]] Status check_negotiated(unsigned protocol_feature) const;
  [[nodiscard]] Status answer(const Message& message, std::uint64_t value);

  const DeviceShape& shape_;
  RingSet& rings_;
  MessageChannel& channel_;
  // What the front end has acknowledged on this connection. QEMU does so once: when it connects
  // again before the guest's driver has started, it goes on with what it acknowledged before, of
  // which a restarted daemon knows nothing. So as long as there is none, all that is offered holds.
  std::optional<std::uint64_t> protocol_features_;
  UniqueFd backend_channel_;  // for requests of ours
};

}  // namespace fallow::vhost_user
