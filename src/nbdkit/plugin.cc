// nbdkit fallow vm=NAME [socket=PATH]: a VM's disk over NBD.
//
// nbdkit calls config, get_ready and after_fork once and in this order, and everything from open on
// from many threads.

#include <fallow/fallow.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "nbdkit/disk.h"

#define NBDKIT_API_VERSION 2
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#include <nbdkit-plugin.h>

namespace fallow::nbdkit {
namespace {

constexpr std::uint32_t kPreferredBytes = 4096;
constexpr std::uint32_t kLongestBytes = 32u << 20;

std::string vm;
std::string socket_path;
std::unique_ptr<Disk> disk;  // from after_fork on

// The errno values that NBD has words for.
int nbd_error(int error) {
  switch (error) {
    case EINVAL:
    case ENOMEM:
    case ENOSPC:
      return error;
    default:
      return EIO;
  }
}

// Runs work(queue) and tells nbdkit how it went: 0 or positive, or -1.
template <typename Work>
int on_queue(const char* what, Work work) {
  const int result = disk->with_queue(work);
  if (result < 0) {
    nbdkit_error("vm=%s: %s: %s", vm.c_str(), what, fallow_error());
    nbdkit_set_error(nbd_error(-result));
    return -1;
  }
  return result;
}

int config(const char* key, const char* value) {
  const std::string_view name(key);
  if (name == "vm") {
    vm = value;
  } else if (name == "socket") {
    char* path = nbdkit_absolute_path(value);
    if (path == nullptr) {
      return -1;
    }
    socket_path = path;
    ::free(path);
  } else {
    nbdkit_error("unknown parameter '%s': use vm=NAME and socket=PATH", key);
    return -1;
  }
  return 0;
}

int config_complete() {
  if (vm.empty()) {
    nbdkit_error("which disk? give vm=NAME, a VM of the daemon's (`fallow vm list`)");
    return -1;
  }
  return 0;
}

int attach() {
  if (Disk::attach(vm, socket_path, disk) < 0) {
    nbdkit_error("vm=%s: %s", vm.c_str(), fallow_error());
    return -1;
  }
  return 0;
}

// Whether the disk is there is told before nbdkit goes to the background; what is kept is made
// after, as a client does not survive a fork.
int get_ready() {
  const int attached = attach();
  disk.reset();
  return attached;
}

void cleanup() {
  disk.reset();
}

void dump_plugin() {
  std::printf("fallow_library=%s\n", fallow_version());
  std::printf("fallow_parallel_requests=yes\n");
}

void* open(int /*readonly*/) {
  return NBDKIT_HANDLE_NOT_NEEDED;
}

int64_t get_size(void* /*handle*/) {
  return static_cast<int64_t>(disk->size());
}

int block_size(void* /*handle*/, uint32_t* minimum, uint32_t* preferred, uint32_t* maximum) {
  *minimum = disk->block_size();
  *preferred = std::max(kPreferredBytes, disk->block_size());
  *maximum = kLongestBytes;
  return 0;
}

int yes(void* /*handle*/) {
  return 1;
}

int no(void* /*handle*/) {
  return 0;
}

int can_fua(void* /*handle*/) {
  return NBDKIT_FUA_NATIVE;
}

int sync_if(fallow_queue* queue, uint32_t flags) {
  return (flags & NBDKIT_FLAG_FUA) != 0 ? fallow_disk_sync(queue) : 0;
}

int pread(void* /*handle*/, void* buf, uint32_t count, uint64_t offset, uint32_t /*flags*/) {
  return on_queue("read",
                  [=](fallow_queue* queue) { return fallow_disk_read(queue, buf, count, offset); });
}

int pwrite(void* /*handle*/, const void* buf, uint32_t count, uint64_t offset, uint32_t flags) {
  return on_queue("write", [=](fallow_queue* queue) {
    const int error = fallow_disk_write(queue, buf, count, offset);
    return error != 0 ? error : sync_if(queue, flags);
  });
}

int flush(void* /*handle*/, uint32_t /*flags*/) {
  return on_queue("flush", fallow_disk_sync);
}

int trim(void* /*handle*/, uint32_t count, uint64_t offset, uint32_t flags) {
  return on_queue("trim", [=](fallow_queue* queue) {
    const int error = fallow_disk_discard(queue, count, offset);
    return error != 0 ? error : sync_if(queue, flags);
  });
}

// What is discarded reads as zeros, so a hole will do where one is allowed.
int zero(void* /*handle*/, uint32_t count, uint64_t offset, uint32_t flags) {
  return on_queue("zero", [=](fallow_queue* queue) {
    const int error = (flags & NBDKIT_FLAG_MAY_TRIM) != 0
                          ? fallow_disk_discard(queue, count, offset)
                          : fallow_disk_write_zeroes(queue, count, offset);
    return error != 0 ? error : sync_if(queue, flags);
  });
}

int extents(void* /*handle*/, uint32_t count, uint64_t offset, uint32_t flags,
            struct nbdkit_extents* extents) {
  return on_queue("extents", [=](fallow_queue* queue) {
    const uint64_t end = offset + count;
    for (uint64_t at = offset; at < end;) {
      uint64_t length = 0;
      const int hole = fallow_disk_extent(queue, end - at, at, &length);
      if (hole < 0) {
        return hole;
      }
      const uint32_t type = hole == 1 ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
      if (nbdkit_add_extent(extents, at, length, type) == -1) {
        return -errno;
      }
      if ((flags & NBDKIT_FLAG_REQ_ONE) != 0) {
        break;
      }
      at += length;
    }
    return 0;
  });
}

constexpr const char* kConfigHelp =
    "vm=<NAME>       (required) The VM whose disk is served.\n"
    "socket=<PATH>   The daemon's ring socket. Default: $FALLOW_RING_SOCKET,\n"
    "                else /run/fallow/ring.sock.";

struct nbdkit_plugin make_plugin() {
  struct nbdkit_plugin made {};
  made.name = "fallow";
  made.longname = "Fallow";
  made.version = FALLOW_VERSION;
  made.description = "the disk of a VM that fallowd keeps in the host's idle memory";
  made.config = config;
  made.config_complete = config_complete;
  made.config_help = kConfigHelp;
  made.open = open;
  made.get_size = get_size;
  made.can_write = yes;
  made.can_flush = yes;
  made.is_rotational = no;
  made.can_trim = yes;
  made.dump_plugin = dump_plugin;
  made.can_zero = yes;
  made.can_fua = can_fua;
  made.pread = pread;
  made.pwrite = pwrite;
  made.flush = flush;
  made.trim = trim;
  made.zero = zero;
  made.magic_config_key = "vm";
  made.can_multi_conn = yes;
  made.can_extents = yes;
  made.extents = extents;
  made.can_fast_zero = yes;
  made.get_ready = get_ready;
  made.after_fork = attach;
  made.cleanup = cleanup;
  made.block_size = block_size;
  return made;
}

struct nbdkit_plugin plugin = make_plugin();

}  // namespace
}  // namespace fallow::nbdkit

using fallow::nbdkit::plugin;
NBDKIT_REGISTER_PLUGIN(plugin)
