// One VM of a node: a client of the store, a swap device over its pool and backing file, and the
// vhost-user socket that the VM's front end connects to, on one of the node's workers. Client
// processes may use the disk too, over rings.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/disk_speed.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "base/units.h"
#include "device/backing_file.h"
#include "device/swap_device.h"
#include "frontend/ring/ring_disk.h"
#include "frontend/vhost_user/vhost_user_blk.h"
#include "node/workers.h"
#include "tmem/store.h"

namespace fallow::node {

struct VmOptions {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::string socket_path;
  std::optional<gid_t> socket_group;  // may open the socket, beside the daemon's user
  BackingOptions backing;
  DiskSpeed backing_speed{};
  std::uint32_t block_size = 4096;
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
  tmem::Compression compression = tmem::Compression::kOff;
  std::string map_path;     // of the device's map
  std::string description;  // what the map says of the VM
  ring::Secret identity{};  // of the disk, as RingDisk has it
  unsigned worker = 0;      // that serves it first
};

// What a VM needs of its node, all of which outlives it.
struct VmHost {
  tmem::Store& store;
  const Clock& clock;
  Workers& workers;
  Listeners& listeners;
};

// Created, asked and destroyed by any thread but a worker; only one at a time may create or
// destroy.
class VmExport {
 public:
  // The client starts with a target of 0. Nothing is left behind when it fails.
  static Result<std::unique_ptr<VmExport>> create(const VmHost& host, const VmOptions& options);
  // The VM of a life before, from the map of its device: with its pages, for a guest that may not
  // have noticed anything.
  static Result<std::unique_ptr<VmExport>> restore(const VmHost& host, const VmOptions& options,
                                                   LocationMap map);
  // Completes what is in flight and disconnects the front end; unless they are to be kept, the VM's
  // pages are gone then, and so is a backing file of our own.
  ~VmExport();
  // The next life goes on with the VM when this one is destroyed, if a front end is connected now,
  // if one was in a life before and has not come back yet, or if the disk holds anything at the
  // end.
  void keep_if_used();
  VmExport(const VmExport&) = delete;
  VmExport& operator=(const VmExport&) = delete;

  [[nodiscard]] VmOptions options() const;
  [[nodiscard]] ClientId client() const { return client_; }
  [[nodiscard]] bool connected() const { return export_->statistics().connected; }
  // Makes the disk larger and tells the guest. kInvalid when it would become smaller.
  Status grow(std::uint64_t size_bytes, const std::string& description);
  // Serves a client process that wants the disk.
  void attach(ring::Connection connection);
  // Another worker goes on with the disk, its front end and its client processes, once the one that
  // has it lets go of it; requests in flight move along, and nobody notices more than a pause.
  // Nothing happens while an earlier move is under way. Never waits.
  void move_to(unsigned worker);
  [[nodiscard]] unsigned worker() const;
  [[nodiscard]] DeviceStatistics device_statistics() const { return device_->statistics(); }
  [[nodiscard]] ExportStatistics export_statistics() const { return export_->statistics(); }

 private:
  VmExport(const VmHost& host, VmOptions options)
      : host_(host), options_(std::move(options)), worker_(options_.worker) {}
  Status open();
  Status reopen(LocationMap map);
  [[nodiscard]] Result<std::unique_ptr<BackingStore>> open_backing(
      const BackingOptions& options) const;
  Status make_device(std::unique_ptr<BackingStore> backing);
  [[nodiscard]] DeviceOptions device_options() const;
  Status open_to_group();
  void remove_own_backing_file();
  Status serve();
  void stop_serving();

  // On the worker's thread.
  Status begin_here();
  Status export_device();
  Status start_demotion();
  void stop_demotion();
  void end_here(std::function<void()> ended);
  void leave_for(unsigned worker);
  void arrive_at(unsigned worker);
  [[nodiscard]] EventLoop& loop() { return host_.workers.loop(worker_); }

  // Any thread.
  void give_to_worker(std::function<void()> work);
  Status ask_worker(const std::function<Status()>& work);

  const VmHost host_;
  mutable std::mutex options_mutex_;
  VmOptions options_;  // the sizes and the description guarded by options_mutex_
  ClientId client_;
  bool has_client_ = false;
  bool has_backing_ = false;
  bool restored_ = false;
  bool kept_ = false;
  bool keep_if_used_ = false;
  // Work is carried out by the worker that has the disk: during a move it waits for the next one.
  // Changed with home_mutex_ held, by the thread of the worker that has it.
  mutable std::mutex home_mutex_;
  unsigned worker_;
  bool moving_ = false;                           // guarded by home_mutex_
  std::vector<std::function<void()>> for_later_;  // guarded by home_mutex_

  // The worker's. The front ends use the device.
  std::unique_ptr<SwapDevice> device_;
  std::unique_ptr<VhostUserBlk> export_;
  std::unique_ptr<RingDisk> ring_disk_;
  std::optional<int> demotion_timer_;
};

}  // namespace fallow::node
