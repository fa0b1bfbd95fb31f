// A block device offered to a virtual machine: a vhost-user-blk back end at a Unix socket.
//
// It serves one front end at a time; another that connects meanwhile is closed at once. When a
// front end goes, in the middle of requests or not, what is in flight completes first, then its
// memory is unmapped, then the next one is accepted. Nothing that a front end or its guest does
// ends the process or holds up the loop.
//
// Every method on the thread of the loop that the export lives on, save statistics(). It can be
// moved to another loop while a guest is running.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/listeners.h"
#include "base/result.h"
#include "device/block_device.h"
#include "frontend/vhost_user/export_statistics.h"
#include "frontend/vhost_user/session.h"

namespace fallow {

struct ExportOptions {
  std::string name;                            // for logs
  std::string socket_path;                     // empty: no socket, only adopt()
  Listeners* listeners = &Listeners::plain();  // where the socket comes from; outlive the export
  // Only the queues that a front end starts cost anything. QEMU makes one for each virtual CPU and
  // does not start with fewer on offer.
  unsigned queues_max = 64;  // 1 to 256
  std::string serial;        // what the guest reads as the disk's serial; the first 20 characters
  // The disk, with its content, is one that a former life of the process has served: a guest that
  // was running then may go on. Without it such a guest is refused, as its pages are not here.
  bool recovered = false;
  // Offers the dirty log, without which QEMU refuses to migrate the guest. Only for a disk whose
  // pages are also where the guest goes: elsewhere it would find a disk that is not its own.
  bool migratable = false;
};

class VhostUserBlk {
 public:
  // `loop` and `device` outlive the export, which watches the device's event_fd() and polls it.
  static Result<std::unique_ptr<VhostUserBlk>> create(EventLoop& loop, BlockDevice& device,
                                                      ExportOptions options);
  // After stop() has called back, or before any front end has connected.
  ~VhostUserBlk();
  VhostUserBlk(const VhostUserBlk&) = delete;
  VhostUserBlk& operator=(const VhostUserBlk&) = delete;

  // Takes a front end that has been connected otherwise. Fails when there is one already.
  Status adopt(UniqueFd socket);

  // The device's size_bytes() has changed: guests are held to the new size from now on. A front end
  // that listens is told, so that a running guest sees it; any other sees it when it asks next.
  void size_changed();

  // Moves the export, its front end and the device to `other`, which another thread may run; then
  // calls `moved` there. Requests in flight move along: none is lost or served twice, and each ring
  // keeps its order. From the call on until `moved` no other method may be called, by any thread;
  // the device, too, is nobody's meanwhile. `other` must run for as long as the export is on it.
  void move_to(EventLoop& other, std::function<void()> moved);

  // Accepts nobody any more, completes what is in flight, disconnects, closes the socket; then
  // calls `drained`, never before it returns.
  void stop(std::function<void()> drained);

  // Any thread.
  [[nodiscard]] ExportStatistics statistics() const { return counters_.snapshot(); }

 private:
  VhostUserBlk(EventLoop& loop, BlockDevice& device, ExportOptions options);
  Status listen();
  Status watch_device();
  void on_device();
  void on_connection();
  void watch_listener();
  void unwatch_listener();
  void session_ended();
  void finish_stop();

  void leave_loop();
  void join_loop(bool listens);

  EventLoop* loop_;
  BlockDevice& device_;
  ExportOptions options_;
  vhost_user::DeviceShape shape_;
  vhost_user::ExportCounters counters_;
  UniqueFd listener_;
  bool listening_ = false;  // the listener is watched
  bool device_watched_ = false;
  std::function<void()> drained_;  // set: stop() was called
  bool begun_ = false;             // a guest has begun to use the disk
  std::shared_ptr<vhost_user::Session> session_;
};

}  // namespace fallow
