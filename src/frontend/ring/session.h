// One client from its welcome to its end: carries out its control messages, keeps its regions and
// queues, and sees to it that its memory stays mapped while anything works on it.
//
// All on the loop's thread. Made with std::make_shared, as scheduled work refers to it weakly.
//
// A message that has to wait (for what is in flight on a queue that closes, or in a region that
// goes) is answered when that is done; meanwhile the socket is not read. The end of the connection
// waits for everything in flight, and overtakes a waiting message.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>

#include "frontend/ring/connection.h"
#include "frontend/ring/control_channel.h"
#include "frontend/ring/loop_seat.h"
#include "frontend/ring/poller.h"

namespace fallow::ring {

class Session final : public std::enable_shared_from_this<Session>, private Queue::Owner {
 public:
  enum class End {
    kLost,      // the connection is over, who knows why
    kForGood,   // it said goodbye, or was cut off
    kByDaemon,  // shut_down()
  };
  // Called once, when nothing is in flight any more: let go of the session.
  using Ended = std::function<void(Session&, End)>;

  // `seat` and `poller` outlive the session.
  Session(LoopSeat& seat, Poller& poller, Connection connection,
          std::unique_ptr<Attachment> attachment, Ended ended);
  ~Session() override;

  // Welcomes the client. What goes wrong ends the session.
  void start();
  // Lets what is in flight end, then ends.
  void shut_down();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  void on_readable();
  // An error that is kInvalid: a control message that cannot be followed; anything less is answered
  // with Refused. Any other: the client is not there to be answered.
  [[nodiscard]] Status dispatch();
  [[nodiscard]] Status open_queue();
  [[nodiscard]] Status close_queue();
  [[nodiscard]] Status add_region();
  [[nodiscard]] Status remove_region();
  [[nodiscard]] Status keep_pages();
  [[nodiscard]] Status refuse(int error, std::string_view why);

  void queue_broken(const char* why) override;
  bool memory_intact() override;
  void entry_done() override;

  void check_waiting();
  void schedule_check();
  [[nodiscard]] bool waits() const { return closing_queue_ != kNone || closing_region_ != 0; }
  void finish_waiting();
  [[nodiscard]] std::uint64_t in_flight() const;
  [[nodiscard]] Status read_socket();
  void stop_reading();
  void retire(std::uint32_t number);
  void end(End how, std::string_view why);
  void cut_off(std::string_view why);

  struct Slot {
    std::unique_ptr<Queue> queue;
    Lease number;
    Lease entries;
  };

  LoopSeat& seat_;
  Poller& poller_;
  Connection connection_;
  ControlChannel channel_;
  Ended ended_;
  std::unique_ptr<Attachment> attachment_;
  Regions regions_;
  std::array<Slot, kQueuesMax> slots_;
  std::uint32_t entries_ = 0;  // of all queues

  std::uint32_t closing_queue_ = kNone;
  std::uint32_t closing_region_ = 0;  // a token
  bool check_scheduled_ = false;
  bool reading_ = false;
  bool ending_ = false;
  End end_ = End::kLost;
};

}  // namespace fallow::ring
