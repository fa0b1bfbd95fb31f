// One VM of a node: a client of the store, a swap device over its pool and backing file, and the
// vhost-user socket that the VM's front end connects to, on a thread of their own. Client processes
// may use the disk too, over rings.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "base/units.h"
#include "device/backing_file.h"
#include "device/swap_device.h"
#include "frontend/ring/ring_disk.h"
#include "frontend/vhost_user/vhost_user_blk.h"
#include "tmem/store.h"

namespace fallow::node {

struct VmOptions {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::string socket_path;
  std::optional<gid_t> socket_group;  // may open the socket, beside the daemon's user
  BackingOptions backing;
  std::uint32_t block_size = 4096;
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
  tmem::Compression compression = tmem::Compression::kOff;
  std::string map_path;     // of the device's map
  std::string description;  // what the map says of the VM
  ring::Secret identity{};  // of the disk, as RingDisk has it
};

// Created, asked and destroyed by any thread but its own; only one at a time may create or destroy.
class VmExport {
 public:
  // The client starts with a target of 0. Nothing is left behind when it fails. `store` and `clock`
  // must outlive it.
  static Result<std::unique_ptr<VmExport>> create(tmem::Store& store, const Clock& clock,
                                                  const VmOptions& options);
  // The VM of a life before, from the map of its device: with its pages, for a guest that may not
  // have noticed anything.
  static Result<std::unique_ptr<VmExport>> restore(tmem::Store& store, const Clock& clock,
                                                   const VmOptions& options, LocationMap map);
  // Completes what is in flight and disconnects the front end; unless they are to be kept, the VM's
  // pages are gone then, and so is a backing file of our own.
  ~VmExport();
  // The next life goes on with the VM when this one is destroyed.
  void keep() { kept_ = true; }
  // True when nobody is connected and the disk holds nothing: nothing is lost with the VM.
  [[nodiscard]] bool idle_and_empty() const { return !connected() && device_->empty(); }
  VmExport(const VmExport&) = delete;
  VmExport& operator=(const VmExport&) = delete;

  [[nodiscard]] VmOptions options() const;
  [[nodiscard]] ClientId client() const { return client_; }
  [[nodiscard]] bool connected() const { return export_->statistics().connected; }
  // Makes the disk larger and tells the guest. kInvalid when it would become smaller.
  Status grow(std::uint64_t size_bytes, const std::string& description);
  // Serves a client process that wants the disk. Any thread.
  void attach(ring::Connection connection);
  [[nodiscard]] DeviceStatistics device_statistics() const { return device_->statistics(); }
  [[nodiscard]] ExportStatistics export_statistics() const { return export_->statistics(); }

 private:
  VmExport(tmem::Store& store, VmOptions options) : store_(store), options_(std::move(options)) {}
  Status open(const Clock& clock);
  Status reopen(const Clock& clock, LocationMap map);
  Status make_device(const Clock& clock, std::unique_ptr<BackingStore> backing);
  [[nodiscard]] DeviceOptions device_options() const;
  Status serve(const Clock& clock);
  Status export_device();
  Status open_to_group();
  Status start_loop();
  void stop_loop();
  void remove_own_backing_file();

  tmem::Store& store_;
  mutable std::mutex options_mutex_;
  VmOptions options_;  // the sizes and the description guarded by options_mutex_
  ClientId client_;
  bool has_client_ = false;
  bool has_backing_ = false;
  bool restored_ = false;
  bool kept_ = false;
  // In this order: the front ends use the device, and all of them the loop.
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SwapDevice> device_;
  std::unique_ptr<VhostUserBlk> export_;
  std::unique_ptr<RingDisk> ring_disk_;
  std::thread thread_;
};

}  // namespace fallow::node
