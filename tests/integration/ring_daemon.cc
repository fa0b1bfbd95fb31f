// ring_daemon FOLDER MEMORY DISK: serves clients at FOLDER/ring.sock, pages of MEMORY bytes and a
// disk `vm1` of DISK bytes, until it is told to end or its parent ends. Says "ready" when it
// listens. For tests and benchmarks of the client library.

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "base/text.h"
#include "device/backing_file.h"
#include "device/swap_device.h"
#include "frontend/ring/ring_disk.h"
#include "frontend/ring/ring_server.h"
#include "tmem/store.h"

namespace fallow {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) {
    log_error("ring-daemon", {{"error", result.error().text}});
    std::exit(1);
  }
  return std::move(*result);
}

// The disk, on a loop and a thread of its own.
class Disk {
 public:
  Disk(tmem::Store& store, const Clock& clock, const std::string& folder, std::uint64_t bytes)
      : loop_(must(EventLoop::create())) {
    const ClientId client = must(store.add_client("vm1"));
    store.set_target(client, store.total_frames());
    auto backing = must(BackingFile::open({folder + "/vm1.img", bytes}));
    device_ =
        must(SwapDevice::create(store, client, clock, std::move(backing), {.size_bytes = bytes}));
    sessions_ = std::make_unique<RingDisk>(*loop_, *device_, clock);
    if (!loop_->watch(device_->event_fd(), [this] { device_->poll(); })) {
      std::exit(1);
    }
    thread_ = must(run_on_thread(*loop_, "vm1"));
  }
  ~Disk() {
    loop_->post([this] { sessions_->stop([this] { loop_->stop(); }); });
    thread_.join();
    sessions_.reset();
    device_.reset();
  }
  void adopt(ring::Connection connection) {
    auto moved = std::make_shared<ring::Connection>(std::move(connection));
    loop_->post([this, moved] { sessions_->adopt(std::move(*moved)); });
  }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SwapDevice> device_;
  std::unique_ptr<RingDisk> sessions_;
  std::thread thread_;
};

class Host final : public RingHost {
 public:
  Host(tmem::Store& store, Disk& disk) : store_(store), disk_(disk) {}

  Result<Admission> admit_pages(std::string_view name, const ring::Secret& /*secret*/,
                                uid_t /*uid*/) override {
    const auto client = store_.add_client(name);
    FALLOW_TRY(client);
    store_.set_target(*client, store_.total_frames());
    return Admission{*client, {}, false};
  }
  void release_pages(ClientId client) override { (void)store_.remove_client(client); }
  Status attach_disk(std::string_view vm, ring::Connection& connection) override {
    if (vm != "vm1") {
      return Error{ErrorCode::kNotFound, "there is no VM '" + std::string(vm) + "'"};
    }
    disk_.adopt(std::move(connection));
    return {};
  }

 private:
  tmem::Store& store_;
  Disk& disk_;
};

int serve(const std::string& folder, std::uint64_t memory_bytes, std::uint64_t disk_bytes) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const SystemClock clock;
  const TempDir arena_folder("/dev/shm");
  memory::ArenaOptions options;
  options.directory = arena_folder.path();
  options.bytes = memory_bytes;
  auto arena = must(memory::Arena::open(options));
  const auto store = must(tmem::Store::create(arena, clock));
  Disk disk(*store, clock, folder, disk_bytes);
  Host host(*store, disk);
  RingServerOptions ring;
  ring.socket_path = folder + "/ring.sock";
  const auto server = must(RingServer::create(host, *store, clock, ring));
  std::puts("ready");
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&ends, &signal);
  return 0;
}

}  // namespace
}  // namespace fallow

int main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (argc != 4) {
    std::fputs("usage: ring_daemon FOLDER MEMORY DISK\n", stderr);
    return 2;
  }
  return fallow::serve(argv[1], *fallow::parse_size(argv[2]), *fallow::parse_size(argv[3]));
}
