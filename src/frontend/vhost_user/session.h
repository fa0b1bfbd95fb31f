// One front end, from its connection to its end: carries out its messages, keeps its memory table
// and rings, and sees to it that guest memory stays mapped while the device works on it.
//
// All on the loop's thread. Made with std::make_shared, as posted work refers to it weakly.
//
// A message that needs quiet rings (a new memory table, a ring's stop, a reset) first stops taking
// chains, waits until nothing is in flight, is then carried out and answered. Meanwhile the socket
// is not read. The end of the connection goes the same way, and overtakes a waiting message.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "frontend/vhost_user/device_config.h"
#include "frontend/vhost_user/message_channel.h"
#include "frontend/vhost_user/vring.h"

namespace fallow::vhost_user {

class Session final : public std::enable_shared_from_this<Session>, private BlockQueue::Owner {
 public:
  // What outlives the session.
  struct Export {
    EventLoop& loop;
    BlockDevice& device;
    const DeviceShape& shape;
    const std::string& name;
    ExportCounters& counters;
    // Whether a guest has begun to use the disk since it was made. Set by the session.
    bool& begun;
  };
  struct Events {
    std::function<void()> ending;  // the front end has gone; requests may still be in flight
    std::function<void()> ended;   // nothing is in flight, nothing is mapped: destroy the session
  };

  Session(const Export& exported, UniqueFd socket, Events events);
  ~Session() override;
  Status start();

  // Reaps completions of the device and shows them to the guest.
  void poll_device();
  // Completes what is in flight, shows it to the guest, then ends.
  void shut_down();
  // Ends at once if the peer has gone, even if its last messages have not been read.
  void check_hang_up();

 private:
  using Action = std::function<void()>;

  void on_readable();
  // False when no further message may be read now.
  [[nodiscard]] bool process();
  void carry_out();
  [[nodiscard]] Status dispatch(Message& message);
  [[nodiscard]] Status dispatch_vring(Message& message);
  void settle(const Status& status);

  [[nodiscard]] Status set_features(std::uint64_t features);
  [[nodiscard]] Status set_protocol_features(std::uint64_t features);
  [[nodiscard]] Status set_memory_table(Message& message);
  [[nodiscard]] Status get_config(const Message& message);
  [[nodiscard]] Status set_vring_kick(Message& message);
  [[nodiscard]] Status set_vring_enable(const VringState& state);
  [[nodiscard]] Status get_vring_base(const Message& message, std::uint32_t index);
  [[nodiscard]] Status check_beginning(const Vring& ring) const;
  [[nodiscard]] Result<Vring*> find_ring(std::uint32_t index);
  [[nodiscard]] Status reply_u64(const Message& message, std::uint64_t value);
  void reset_rings();

  void on_kick(std::uint32_t index);
  void serve(std::uint32_t index);
  void serve_soon(std::uint32_t index);
  void serve_all_soon();
  void after_turn();
  void flush_rings();
  void request_done() override;
  [[nodiscard]] BlockQueue::Environment environment();
  [[nodiscard]] bool serves(const Vring& ring) const;

  [[nodiscard]] std::uint64_t in_flight() const;
  void when_quiet(Action action);
  void post(void (*work)(Session&));
  void run_quiet_action();
  void end(std::string_view why);
  void unwatch_all();
  void log_event(std::string_view event, std::string_view detail) const;

  Export export_;
  const bool begun_before_;  // some earlier session's guest had begun
  MessageChannel channel_;
  Events events_;
  std::unique_ptr<Chain> scratch_;
  GuestMemory memory_;
  std::vector<Vring> rings_;
  std::uint64_t features_ = 0;
  std::uint64_t protocol_features_ = 0;

  Action quiet_action_;        // runs once nothing is in flight; rings are paused until then
  bool quiet_posted_ = false;  // run_quiet_action() is on its way
  bool flush_posted_ = false;  // so is flush_rings()
  bool reading_ = false;       // the socket is watched
  bool ending_ = false;
  unsigned turns_ = 0;  // depth of calls that flush at their end
};

}  // namespace fallow::vhost_user
