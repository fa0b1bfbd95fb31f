#include "node/vm_export.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>

#include "base/check.h"
#include "base/log.h"
#include "device/emulated_disk.h"

namespace fallow::node {

Result<std::unique_ptr<VmExport>> VmExport::create(const VmHost& host, const VmOptions& options) {
  std::unique_ptr<VmExport> vm(new VmExport(host, options));
  FALLOW_TRY(vm->open());
  return vm;
}

// The backing file comes first: it is what an operator gets wrong, and it is refused unchanged.
Status VmExport::open() {
  Result<std::unique_ptr<BackingStore>> backing = open_backing(options_.backing);
  if (!backing) {
    return backing.error();
  }
  has_backing_ = true;
  const Result<ClientId> client = host_.store.add_client(options_.name);
  FALLOW_TRY(client);
  client_ = *client;
  has_client_ = true;
  FALLOW_TRY(host_.store.set_compression(client_, options_.compression));
  FALLOW_TRY(make_device(*std::move(backing)));
  return serve();
}

Result<std::unique_ptr<VmExport>> VmExport::restore(const VmHost& host, const VmOptions& options,
                                                    LocationMap map) {
  std::unique_ptr<VmExport> vm(new VmExport(host, options));
  vm->kept_ = true;  // whatever goes wrong, its pages stay
  FALLOW_TRY(vm->reopen(std::move(map)));
  vm->kept_ = false;
  return vm;
}

Status VmExport::reopen(LocationMap map) {
  restored_ = true;
  const auto client = host_.store.find_client(options_.name);
  if (!client) {
    return failed("its pages are not in the arena");
  }
  client_ = *client;
  BackingOptions options = options_.backing;
  options.content = BackingOptions::Content::kRecover;
  auto backing = open_backing(options);
  if (!backing) {
    return backing.error();
  }
  auto device = SwapDevice::recover(host_.store, client_, host_.clock, *std::move(backing),
                                    device_options(), std::move(map));
  if (!device) {
    return device.error();
  }
  device_ = *std::move(device);
  has_client_ = true;
  has_backing_ = true;
  return serve();
}

Result<std::unique_ptr<BackingStore>> VmExport::open_backing(const BackingOptions& options) const {
  auto file = BackingFile::open(options);
  FALLOW_TRY(file);
  if (!options_.backing_speed.emulated()) {
    return std::unique_ptr<BackingStore>(*std::move(file));
  }
  auto disk = EmulatedDisk::create(*std::move(file), options_.backing_speed, host_.clock);
  FALLOW_TRY(disk);
  return std::unique_ptr<BackingStore>(*std::move(disk));
}

DeviceOptions VmExport::device_options() const {
  return {.size_bytes = options_.size_bytes,
          .logical_block_size = options_.block_size,
          .demotion_pages_per_second = options_.demotion_pages_per_second,
          .map_path = options_.map_path,
          .description = options_.description};
}

Status VmExport::make_device(std::unique_ptr<BackingStore> backing) {
  auto device =
      SwapDevice::create(host_.store, client_, host_.clock, std::move(backing), device_options());
  if (!device) {
    return device.error();
  }
  device_ = *std::move(device);
  return {};
}

Status VmExport::serve() {
  return ask_worker([this] { return begin_here(); });
}

// Nobody can connect before it returns.
Status VmExport::begin_here() {
  FALLOW_TRY(export_device());
  ring_disk_ = std::make_unique<RingDisk>(loop(), *device_, host_.clock, options_.identity);
  FALLOW_TRY(open_to_group());
  return start_demotion();
}

Status VmExport::export_device() {
  auto exported = VhostUserBlk::create(loop(), *device_,
                                       {.name = options_.name,
                                        .socket_path = options_.socket_path,
                                        .listeners = &host_.listeners,
                                        .serial = options_.name,
                                        .recovered = restored_});
  if (!exported) {
    return exported.error();
  }
  export_ = *std::move(exported);
  return {};
}

Status VmExport::open_to_group() {
  if (!options_.socket_group) {
    return {};
  }
  const char* path = options_.socket_path.c_str();
  if (::chown(path, static_cast<uid_t>(-1), *options_.socket_group) != 0 ||
      ::chmod(path, 0660) != 0) {
    return failed_errno("cannot open socket '" + options_.socket_path +
                            "' to [device] socket_group: is the daemon's user a member?",
                        errno);
  }
  return {};
}

Status VmExport::start_demotion() {
  if (options_.demotion_pages_per_second > 0) {
    const auto timer =
        loop().every_ns(SwapDevice::kDemotionPeriodNs, [this] { device_->demote(); });
    FALLOW_TRY(timer);
    demotion_timer_ = *timer;
  }
  return {};
}

void VmExport::stop_demotion() {
  if (demotion_timer_) {
    loop().cancel(*std::exchange(demotion_timer_, std::nullopt));
  }
}

VmExport::~VmExport() {
  if (export_ != nullptr) {
    stop_serving();
  }
  if (keep_if_used_ && !device_->empty()) {
    kept_ = true;
  }
  if (kept_) {
    if (device_ != nullptr) {
      device_->keep();
    }
    return;
  }
  if (has_backing_) {
    remove_own_backing_file();
  }
  device_.reset();
  if (has_client_) {
    CHECK(host_.store.remove_client(client_).ok());
  }
}

void VmExport::keep_if_used() {
  const ExportStatistics served = export_statistics();
  const bool awaited = restored_ && served.connections == 0;
  kept_ = served.connected || awaited;
  keep_if_used_ = true;
}

void VmExport::stop_serving() {
  std::promise<void> ended;
  give_to_worker([&] { end_here([&] { ended.set_value(); }); });
  ended.get_future().wait();
}

void VmExport::end_here(std::function<void()> ended) {
  stop_demotion();
  const auto end_export = [this, ended = std::move(ended)] {
    ring_disk_.reset();
    export_->stop([this, ended] {
      export_.reset();
      ended();
    });
  };
  if (ring_disk_ != nullptr) {
    ring_disk_->stop(end_export);
  } else {
    end_export();
  }
}

unsigned VmExport::worker() const {
  const std::lock_guard lock(home_mutex_);
  return worker_;
}

void VmExport::give_to_worker(std::function<void()> work) {
  const std::lock_guard lock(home_mutex_);
  if (moving_) {
    for_later_.push_back(std::move(work));
  } else {
    loop().post(std::move(work));
  }
}

Status VmExport::ask_worker(const std::function<Status()>& work) {
  std::promise<Status> answer;
  give_to_worker([&] { answer.set_value(work()); });
  return answer.get_future().get();
}

void VmExport::move_to(unsigned worker) {
  const std::lock_guard lock(home_mutex_);
  if (!moving_ && worker != worker_) {
    moving_ = true;
    loop().post([this, worker] { leave_for(worker); });
  }
}

void VmExport::leave_for(unsigned worker) {
  stop_demotion();
  ring_disk_->leave_loop();
  export_->move_to(host_.workers.loop(worker), [this, worker] { arrive_at(worker); });
}

// On the next worker's thread.
void VmExport::arrive_at(unsigned worker) {
  const std::lock_guard lock(home_mutex_);
  worker_ = worker;
  ring_disk_->join_loop(loop());
  if (const auto started = start_demotion(); !started) {
    log_error("demotion_stopped", {{"vm", options_.name}, {"detail", started.error().text}});
  }
  moving_ = false;
  for (auto& work : for_later_) {
    loop().post(std::move(work));
  }
  for_later_.clear();
}

VmOptions VmExport::options() const {
  const std::lock_guard lock(options_mutex_);
  return options_;
}

Status VmExport::grow(std::uint64_t size_bytes, const std::string& description) {
  const Status grown = ask_worker([&]() -> Status {
    FALLOW_TRY(device_->grow(size_bytes, description));
    export_->size_changed();
    return {};
  });
  FALLOW_TRY(grown);
  const std::lock_guard lock(options_mutex_);
  options_.size_bytes = size_bytes;
  options_.backing.size_bytes = size_bytes;
  options_.description = description;
  return {};
}

void VmExport::attach(ring::Connection connection) {
  auto shared = std::make_shared<ring::Connection>(std::move(connection));
  give_to_worker([this, shared] { ring_disk_->adopt(std::move(*shared)); });
}

// While the device still holds its lock: a new life's file of the same name must not be hit.
void VmExport::remove_own_backing_file() {
  if (options_.backing.origin == BackingOptions::Origin::kCreate) {
    ::unlink(options_.backing.path.c_str());
  }
}

}  // namespace fallow::node
