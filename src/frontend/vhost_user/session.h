// One front end, from its connection to its end: reads its messages, sees to it that each is
// carried out when it may be, and that guest memory stays mapped while the device works on it.
//
// All on the loop's thread, whichever that is at the time. Made with std::make_shared, as posted
// work refers to it weakly.
//
// A message that needs quiet rings (a new memory table, a ring's stop, a reset) first stops taking
// chains, waits until nothing is in flight, is then carried out and answered. Meanwhile the socket
// is not read. The end of the connection goes the same way, and overtakes a waiting message.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "frontend/vhost_user/message_channel.h"
#include "frontend/vhost_user/protocol.h"
#include "frontend/vhost_user/ring_set.h"

namespace fallow::vhost_user {

class Session final : public std::enable_shared_from_this<Session>, private RingSet::Owner {
 public:
  struct Events {
    std::function<void()> ending;  // the front end has gone; requests may still be in flight
    std::function<void()> ended;   // nothing is in flight, nothing is mapped: destroy the session
  };

  Session(const Export& exported, UniqueFd socket, Events events);
  ~Session() override;
  Status start();

  // Reaps completions of the device and shows them to the guest.
  void poll_device() { rings_.poll_device(); }
  // Tells the front end that the configuration space has changed.
  void config_changed() { protocol_.config_changed(); }
  // Completes what is in flight, shows it to the guest, then ends.
  void shut_down();
  // Leaves the loop, with requests in flight or not, and joins another one, on its thread. Nothing
  // else may be called in between.
  void leave_loop();
  void join_loop();
  // Ends at once if the peer has gone, even if its last messages have not been read.
  void check_hang_up();

 private:
  using Action = std::function<void()>;

  void on_readable();
  // False when no further message may be read now.
  [[nodiscard]] bool process();
  void carry_out();
  void settle(const Status& status);

  void when_quiet(Action action);
  void run_quiet_action();
  void end(std::string_view why);
  [[nodiscard]] Status read_messages();
  void ignore_messages();

  void post(std::function<void()> work) override;
  void rings_idle() override;
  void rings_lost(std::string_view why) override;

  Export export_;
  MessageChannel channel_;
  Events events_;
  RingSet rings_;
  Protocol protocol_;

  // Replaced when the session leaves a loop: work that was posted there is void then.
  std::shared_ptr<const char> stay_ = std::make_shared<const char>();
  Action quiet_action_;        // runs once nothing is in flight; rings are paused until then
  bool quiet_posted_ = false;  // run_quiet_action() is on its way
  bool reading_ = false;       // the socket is watched, or will be when a loop is joined
  bool ending_ = false;
};

}  // namespace fallow::vhost_user
