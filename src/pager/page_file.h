// The backing store of a pager: a file with a page for each slot, for what the daemon refuses.
// Simple reads and writes, as each of the pager's threads waits for its own. Pages next to each
// other are one request.
//
// Where the file has another speed than the disk that it is on, a request takes as long as it would
// on one disk for all threads (base/disk_speed.h).
//
// Any thread; one page is written and read by one thread at a time, but that what is read over
// (bridge_most()) may be written meanwhile: nobody looks at what came of it.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/disk_speed.h"
#include "base/file.h"
#include "base/result.h"

namespace fallow::pager {

struct PageFileOptions {
  // Empty: a file without a name in `$TMPDIR` or /var/tmp; a folder: one there.
  std::string path{};
  std::uint64_t bytes_max = 0;  // 0: no bound but the disk's
  bool keep = false;            // content of a pager before this one stays; else it is emptied
  DiskSpeed speed{};
};

class PageFile {
 public:
  static constexpr std::size_t kRunMost = 256;

  // `clock` outlives it.
  static Result<std::unique_ptr<PageFile>> open(const PageFileOptions& options, const Clock& clock);

  // So many pages of a request were moved, and why not all: a negative errno value, or 0. -ENOSPC:
  // the file is full.
  struct Moved {
    std::size_t pages;
    int error;
  };
  // The pages from number `first` on, one or more, up to kRunMost. Each of `pages` is one, aligned
  // to 4096.
  Moved write(std::uint32_t first, std::span<const iovec> pages);
  Moved read(std::uint32_t first, std::span<const iovec> pages);
  // These pages are not needed any more.
  void punch(std::uint32_t first, std::uint32_t pages);

  [[nodiscard]] std::uint64_t requests() const { return requests_.load(); }
  // How long the reads took together.
  [[nodiscard]] std::uint64_t read_ns() const { return read_ns_.load(); }
  // Pages that may be read though nobody wants them, where another request would take longer.
  [[nodiscard]] std::uint32_t bridge_most() const { return bridge_most_; }

 private:
  PageFile(UniqueFd file, const PageFileOptions& options, const Clock& clock);
  void wait_out(std::uint64_t begin_ns, std::uint32_t first, std::size_t pages);

  const UniqueFd file_;
  const std::uint64_t pages_max_;
  const bool emulated_;
  const std::uint32_t bridge_most_;
  const Clock& clock_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> read_ns_{0};
  std::mutex mutex_;  // guards disk_
  DiskModel disk_;
};

}  // namespace fallow::pager
