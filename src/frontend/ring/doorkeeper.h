// Accepts connections, reads each one's Hello and decides what becomes of it.
//
// All on one loop's thread.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/listeners.h"
#include "frontend/ring/connection.h"
#include "frontend/ring/control_channel.h"

namespace fallow::ring {

class Doorkeeper {
 public:
  static constexpr std::uint64_t kPatienceNs = 2'000'000'000;  // with a client that says nothing
  static constexpr std::size_t kStrangersMax = 64;             // that have said nothing yet

  struct Settings {
    std::string socket_path;
    std::optional<gid_t> socket_group;
    Epoch epoch;
    std::uint64_t connections_max;
    Listeners* listeners = &Listeners::plain();  // where the socket comes from; outlive the keeper
  };
  // Takes a connection whose Hello is good; an error is told to the client. Takes it only when it
  // succeeds.
  using Welcome = std::function<Status(Attach attach, Connection& connection)>;

  // Loop and clock outlive it.
  static Result<std::unique_ptr<Doorkeeper>> create(EventLoop& loop, const Clock& clock,
                                                    std::shared_ptr<Shared> shared,
                                                    const Settings& settings, Welcome welcome);
  // Accepts nobody any more and closes the socket.
  ~Doorkeeper();
  Doorkeeper(const Doorkeeper&) = delete;
  Doorkeeper& operator=(const Doorkeeper&) = delete;

 private:
  struct Stranger {
    ControlChannel channel;
    std::uint64_t since_ns;
  };
  using Strangers = std::list<Stranger>;  // the oldest first

  Doorkeeper(EventLoop& loop, const Clock& clock, std::shared_ptr<Shared> shared,
             const Settings& settings, Welcome welcome);
  Status listen();
  void on_connection();
  void meet(UniqueFd socket);
  void on_hello(Strangers::iterator stranger);
  Status check_hello_of(const Stranger& stranger) const;
  void admit(Strangers::iterator stranger);
  void turn_away(Strangers::iterator stranger, int error, std::string_view why);
  UniqueFd forget(Strangers::iterator stranger);
  void look_at_watch();

  EventLoop& loop_;
  const Clock& clock_;
  std::shared_ptr<Shared> shared_;
  const Settings settings_;
  Welcome welcome_;
  std::shared_ptr<Quota> connections_;
  UniqueFd listener_;
  bool listening_ = false;
  std::optional<int> timer_;
  Strangers strangers_;
};

}  // namespace fallow::ring
