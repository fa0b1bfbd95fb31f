#include "node/vm_export.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>

#include "base/check.h"

namespace fallow::node {

Result<std::unique_ptr<VmExport>> VmExport::create(tmem::Store& store, const Clock& clock,
                                                   const VmOptions& options) {
  std::unique_ptr<VmExport> vm(new VmExport(store, options));
  FALLOW_TRY(vm->open(clock));
  return vm;
}

// The backing file comes first: it is what an operator gets wrong, and it is refused unchanged.
Status VmExport::open(const Clock& clock) {
  Result<std::unique_ptr<BackingFile>> backing = BackingFile::open(options_.backing);
  if (!backing) {
    return backing.error();
  }
  has_backing_ = true;
  const Result<ClientId> client = store_.add_client(options_.name);
  FALLOW_TRY(client);
  client_ = *client;
  has_client_ = true;
  FALLOW_TRY(store_.set_compression(client_, options_.compression));
  FALLOW_TRY(make_device(clock, *std::move(backing)));
  return serve(clock);
}

Result<std::unique_ptr<VmExport>> VmExport::restore(tmem::Store& store, const Clock& clock,
                                                    const VmOptions& options, LocationMap map) {
  std::unique_ptr<VmExport> vm(new VmExport(store, options));
  vm->kept_ = true;  // whatever goes wrong, its pages stay
  FALLOW_TRY(vm->reopen(clock, std::move(map)));
  vm->kept_ = false;
  return vm;
}

Status VmExport::reopen(const Clock& clock, LocationMap map) {
  restored_ = true;
  const auto client = store_.find_client(options_.name);
  if (!client) {
    return failed("its pages are not in the arena");
  }
  client_ = *client;
  BackingOptions options = options_.backing;
  options.content = BackingOptions::Content::kRecover;
  auto backing = BackingFile::open(options);
  if (!backing) {
    return backing.error();
  }
  auto device = SwapDevice::recover(store_, client_, clock, *std::move(backing), device_options(),
                                    std::move(map));
  if (!device) {
    return device.error();
  }
  device_ = *std::move(device);
  has_client_ = true;
  has_backing_ = true;
  return serve(clock);
}

Status VmExport::serve(const Clock& clock) {
  FALLOW_TRY(export_device());
  ring_disk_ = std::make_unique<RingDisk>(*loop_, *device_, clock, options_.identity);
  FALLOW_TRY(open_to_group());
  return start_loop();
}

DeviceOptions VmExport::device_options() const {
  return {.size_bytes = options_.size_bytes,
          .logical_block_size = options_.block_size,
          .demotion_pages_per_second = options_.demotion_pages_per_second,
          .map_path = options_.map_path,
          .description = options_.description};
}

Status VmExport::make_device(const Clock& clock, std::unique_ptr<BackingStore> backing) {
  auto device = SwapDevice::create(store_, client_, clock, std::move(backing), device_options());
  if (!device) {
    return device.error();
  }
  device_ = *std::move(device);
  return {};
}

Status VmExport::export_device() {
  auto loop = EventLoop::create();
  if (!loop) {
    return loop.error();
  }
  loop_ = *std::move(loop);
  auto exported = VhostUserBlk::create(*loop_, *device_,
                                       {.name = options_.name,
                                        .socket_path = options_.socket_path,
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

Status VmExport::start_loop() {
  if (options_.demotion_pages_per_second > 0) {
    FALLOW_TRY(loop_->every_ns(SwapDevice::kDemotionPeriodNs, [this] { device_->demote(); }));
  }
  auto thread = run_on_thread(*loop_, "vm " + options_.name);
  FALLOW_TRY(thread);
  thread_ = *std::move(thread);
  return {};
}

VmExport::~VmExport() {
  if (thread_.joinable()) {
    stop_loop();
  }
  ring_disk_.reset();
  export_.reset();
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
    CHECK(store_.remove_client(client_).ok());
  }
}

void VmExport::stop_loop() {
  loop_->post([this] { ring_disk_->stop([this] { export_->stop([this] { loop_->stop(); }); }); });
  thread_.join();
}

VmOptions VmExport::options() const {
  const std::lock_guard lock(options_mutex_);
  return options_;
}

Status VmExport::grow(std::uint64_t size_bytes, const std::string& description) {
  std::promise<Status> grown;
  loop_->post([&] {
    const Status done = device_->grow(size_bytes, description);
    if (done) {
      export_->size_changed();
    }
    grown.set_value(done);
  });
  FALLOW_TRY(grown.get_future().get());
  const std::lock_guard lock(options_mutex_);
  options_.size_bytes = size_bytes;
  options_.backing.size_bytes = size_bytes;
  options_.description = description;
  return {};
}

void VmExport::attach(ring::Connection connection) {
  auto shared = std::make_shared<ring::Connection>(std::move(connection));
  loop_->post([this, shared] { ring_disk_->adopt(std::move(*shared)); });
}

// While the device still holds its lock: a new life's file of the same name must not be hit.
void VmExport::remove_own_backing_file() {
  if (options_.backing.origin == BackingOptions::Origin::kCreate) {
    ::unlink(options_.backing.path.c_str());
  }
}

}  // namespace fallow::node
