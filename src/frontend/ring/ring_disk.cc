#include "frontend/ring/ring_disk.h"

#include "frontend/ring/disk.h"
#include "frontend/ring/session_group.h"

namespace fallow {

RingDisk::RingDisk(EventLoop& loop, BlockDevice& device, const Clock& clock,
                   const ring::Secret& identity)
    : device_(device),
      identity_(identity),
      sessions_(std::make_unique<ring::SessionGroup>(loop, clock)) {}

RingDisk::~RingDisk() = default;

void RingDisk::adopt(ring::Connection connection) {
  auto disk = std::make_unique<ring::DiskAttachment>(sessions_->seat(), device_, identity_,
                                                     connection.secret);
  sessions_->add(std::move(connection), std::move(disk), [](ring::Session::End) {});
}

void RingDisk::stop(std::function<void()> drained) {
  sessions_->stop(std::move(drained));
}

void RingDisk::leave_loop() {
  sessions_->leave_loop();
}

void RingDisk::join_loop(EventLoop& loop) {
  sessions_->join_loop(loop);
}

}  // namespace fallow
