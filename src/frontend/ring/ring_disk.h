// The clients of one VM's disk, on the loop that owns its BlockDevice. They share the device with
// whatever else uses it there, such as the VM's own front end, and follow it to another loop.
//
// All on the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/event_loop.h"
#include "device/block_device.h"
#include "frontend/ring/connection.h"

namespace fallow {

namespace ring {
class SessionGroup;
}

class RingDisk {
 public:
  // `identity` is random and stays the same for as long as the disk keeps its content, over deaths
  // of the daemon too: a client that comes back learns by it whether it is the same disk. Zero:
  // never. The other three outlive it, but
  // for a loop that it has left. Somebody else on the loop watches the device's event_fd()
  // and polls it.
  RingDisk(EventLoop& loop, BlockDevice& device, const Clock& clock, const ring::Secret& identity);
  // After stop() has called back, or before anybody was adopted.
  ~RingDisk();
  RingDisk(const RingDisk&) = delete;
  RingDisk& operator=(const RingDisk&) = delete;

  // Serves a client that RingHost::attach_disk() was given.
  void adopt(ring::Connection connection);
  // Ends every session once what it has in flight is done, and whatever is adopted later; then
  // calls `drained`, never before it returns.
  void stop(std::function<void()> drained);

  // Before the device leaves its loop, and once it is on the other: no client notices more than a
  // pause. Between the two nothing else may be called, but requests in flight may end.
  void leave_loop();
  void join_loop(EventLoop& loop);

 private:
  BlockDevice& device_;
  const ring::Secret identity_;
  std::unique_ptr<ring::SessionGroup> sessions_;
};

}  // namespace fallow
