// The rings of one front end and the memory that they lie in: what has been set up, what is
// watched, and the service of it all. Knows nothing of messages and sockets.
//
// All on the loop's thread, whichever that is at the time. Rings are served while they are started,
// enabled and not paused.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "frontend/vhost_user/device_config.h"
#include "frontend/vhost_user/vring.h"

namespace fallow::vhost_user {

// What a session serves; it all outlives the session.
struct Export {
  EventLoop* const& loop;  // the one that the export lives on now
  BlockDevice& device;
  const DeviceShape& shape;
  const std::string& name;
  ExportCounters& counters;
  // Whether a guest has begun to use the disk since it was made. Set when one begins.
  bool& begun;
};

void log_export_event(const Export& exported, std::string_view event, std::string_view detail);

class RingSet final : private BlockQueue::Owner {
 public:
  // Whom the rings belong to; outlives them.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Runs `work` on the loop, later, unless the owner is gone or on another loop by then.
    virtual void post(std::function<void()> work) = 0;
    // While paused: nothing is in flight any more. Comes in the middle of the rings' work.
    virtual void rings_idle() = 0;
    // The front end cannot be served any further. The rings may be abandoned at once.
    virtual void rings_lost(std::string_view why) = 0;
  };

  RingSet(const Export& exported, Owner& owner);
  ~RingSet() override;

  // Setting up.

  Status set_features(std::uint64_t features);
  // Rings that are to be logged are not served before their log is there.
  Status set_log(int file, const LogDescription& log);
  void set_log_notifier(UniqueFd eventfd) { log_.set_notifier(std::move(eventfd)); }
  // Nothing may be in flight. A table that is refused leaves the old one in force; a ring that is
  // not in the new one stops.
  Status set_memory(std::span<const Region> regions, std::span<const UniqueFd> files);
  Status add_memory(const Region& region, int file) { return memory_.add(region, file); }
  // Nothing may be in flight.
  Status remove_memory(const Region& region);
  // The region that the rings will be tracked in, instead of the one before. No ring may be
  // started.
  Status set_inflight_region(InflightRegion region);
  Result<Vring*> find(std::uint32_t index);
  // Starts the ring, or only changes the kick descriptor of a started one.
  Status start(std::uint32_t index, UniqueFd kick);
  Status set_enabled(std::uint32_t index, bool enabled);
  // Nothing may be in flight. The ring's base: what the driver made available next.
  Result<std::uint16_t> stop(std::uint32_t index);
  // Forgets all that was set up of rings. Nothing may be in flight.
  void reset();

  // At work.

  // Takes no chains until resume(); what is in flight completes, in a former life's flight too.
  void pause();
  void resume();
  // Reaps completions of the device and shows them to the guest.
  void poll_device();
  void flush();
  // The driver may already work on its rings without us: from now on nothing is shown to it, and no
  // descriptor is watched. The memory stays mapped.
  void abandon();
  [[nodiscard]] std::uint64_t in_flight() const;

  // Between the two the rings are on no loop, and another thread may take them on. What had been
  // posted when they left is made good for on arrival.
  void leave_loop();
  Status join_loop();

 private:
  [[nodiscard]] Status check_beginning(const Vring& ring) const;
  void stop_rings_without_memory();
  [[nodiscard]] bool any_started() const;
  [[nodiscard]] Result<InflightLog> inflight_log(std::uint32_t index) const;
  void queue_broke(std::uint32_t index);
  void unwatch(const Vring& ring);
  [[nodiscard]] Status watch(std::uint32_t index);
  void on_kick(std::uint32_t index);
  void serve(std::uint32_t index);
  void serve_soon(std::uint32_t index);
  void serve_all_soon();
  void after_turn();
  void request_done() override;
  [[nodiscard]] bool serves(const Vring& ring) const;

  Export export_;
  Owner& owner_;
  const bool begun_before_;  // some earlier session's guest had begun
  std::unique_ptr<Chain> scratch_;
  GuestMemory memory_;
  DirtyLog log_;
  std::optional<InflightRegion> inflight_;
  std::vector<Vring> rings_;
  std::uint64_t features_ = 0;
  bool logs_data_ = false;
  bool paused_ = false;
  bool abandoned_ = false;
  bool flush_posted_ = false;
  unsigned turns_ = 0;  // depth of calls that flush at their end
};

}  // namespace fallow::vhost_user
