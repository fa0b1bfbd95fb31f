// The log of guest pages that we have written, for a front end that migrates its guest: one bit a
// page of 4 KiB, by guest-physical address, in memory that the front end shares and clears
// (VHOST_F_LOG_ALL, LOG_SHMFD).
//
// A page is marked after it was written: a front end that clears the bit and then copies the page
// misses nothing. One thread, the session's.
#pragma once

#include <cstdint>
#include <memory>

#include "base/file.h"
#include "base/foreign_memory.h"
#include "base/result.h"

namespace fallow::vhost_user {

class DirtyLog {
 public:
  // More than the pages of any machine need.
  static constexpr std::uint64_t kBytesMax = 1ull << 30;

  // The log is [offset, offset + size) of the file from now on. After an error, the one before is.
  Status map(int fd, std::uint64_t offset, std::uint64_t size);
  [[nodiscard]] bool mapped() const { return memory_ != nullptr; }
  // An eventfd to be signalled by notify() when pages have been marked since.
  void set_notifier(UniqueFd eventfd) { notifier_ = std::move(eventfd); }

  // [address, address + size) of guest-physical memory has been written.
  void mark(std::uint64_t address, std::uint64_t size);
  void notify();
  // Whether a mark did not fit the log, or the front end has cut it: the guest's copy would miss
  // what was written.
  [[nodiscard]] bool broken() const { return missed_ || (memory_ != nullptr && memory_->broken()); }

 private:
  std::unique_ptr<ForeignMemory> memory_;
  UniqueFd notifier_;
  bool marked_ = false;  // since notify()
  bool missed_ = false;
};

}  // namespace fallow::vhost_user
