// Vhost-user-blk back ends to measure, each a process of its own with a disk in memory: ours, and
// QEMU's storage daemon with a file on tmpfs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/temp_dir.h"

namespace fallow::bench {

class BackEnd {
 public:
  // A store with room for every page of the disk, a swap device and its export, on one loop.
  static std::unique_ptr<BackEnd> start_ours(std::uint64_t disk_bytes);
  // qemu-storage-daemon, with an I/O thread of its own for the disk.
  static std::unique_ptr<BackEnd> start_storage_daemon(std::uint64_t disk_bytes);
  // Ends the process.
  ~BackEnd();
  BackEnd(const BackEnd&) = delete;
  BackEnd& operator=(const BackEnd&) = delete;

  [[nodiscard]] std::string socket_path() const { return dir_.path() + "/disk.sock"; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  BackEnd() = default;
  [[noreturn]] void serve(std::uint64_t disk_bytes) const;

  TempDir dir_{"/dev/shm"};
  pid_t pid_ = -1;
};

}  // namespace fallow::bench
