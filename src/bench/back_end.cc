#include "bench/back_end.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/units.h"
#include "device/backing_file.h"
#include "device/swap_device.h"
#include "frontend/vhost_user/vhost_user_blk.h"
#include "tmem/store.h"

namespace fallow::bench {
namespace {

// The child of fork() that ends with its parent.
pid_t fork_child() {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  return child;
}

template <typename T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "fallow-bench: %s\n", result.error().text.c_str());
    ::_exit(1);
  }
  return *std::move(result);
}

}  // namespace

BackEnd::~BackEnd() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void BackEnd::serve(std::uint64_t disk_bytes) const {
  set_log_level(LogLevel::kWarning);
  const SystemClock clock;
  auto arena = must(memory::Arena::open({.directory = dir_.path(),
                                         .name = "bench",
                                         .bytes = disk_bytes + disk_bytes / 16,
                                         .node = NodeId(0)}));
  const auto store = must(tmem::Store::create(arena, clock));
  const ClientId client = must(store->add_client("bench"));
  store->set_target(client, Pages::from_bytes(disk_bytes).count + 1);
  auto backing = must(BackingFile::open({.path = dir_.path() + "/backing",
                                         .size_bytes = disk_bytes,
                                         .origin = BackingOptions::Origin::kCreate}));
  DeviceOptions options;
  options.size_bytes = disk_bytes;
  const auto device = must(SwapDevice::create(*store, client, clock, std::move(backing), options));
  const auto loop = must(EventLoop::create());
  ExportOptions export_options;
  export_options.name = "bench";
  export_options.socket_path = socket_path();
  const auto exported = must(VhostUserBlk::create(*loop, *device, export_options));
  loop->run();
  ::_exit(0);
}

std::unique_ptr<BackEnd> BackEnd::start_ours(std::uint64_t disk_bytes) {
  std::unique_ptr<BackEnd> result(new BackEnd);
  result->pid_ = fork_child();
  if (result->pid_ == 0) {
    result->serve(disk_bytes);
  }
  return result;
}

// Of the file driver's ways to do I/O, io_uring is the fastest on tmpfs, which has no O_DIRECT for
// `native`; a thread of the disk's own is faster than the daemon's main loop.
std::unique_ptr<BackEnd> BackEnd::start_storage_daemon(std::uint64_t disk_bytes) {
  std::unique_ptr<BackEnd> result(new BackEnd);
  const std::string file = result->dir_.path() + "/disk.raw";
  const UniqueFd disk(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  CHECK(disk.valid() && ::ftruncate(disk.get(), static_cast<off_t>(disk_bytes)) == 0);
  const std::vector<std::string> arguments = {
      "qemu-storage-daemon",
      "--object",
      "iothread,id=io",
      "--blockdev",
      "driver=file,node-name=disk,filename=" + file + ",aio=io_uring",
      "--export",
      "vhost-user-blk,id=export,node-name=disk,iothread=io,writable=on,logical-block-size=4096,"
      "addr.type=unix,addr.path=" +
          result->socket_path()};
  std::vector<char*> raw;
  for (const std::string& argument : arguments) {
    raw.push_back(const_cast<char*>(argument.c_str()));
  }
  raw.push_back(nullptr);
  result->pid_ = fork_child();
  if (result->pid_ == 0) {
    ::execvp(raw[0], raw.data());
    std::perror("fallow-bench: qemu-storage-daemon (package qemu-system-common)");
    ::_exit(1);
  }
  return result;
}

}  // namespace fallow::bench
