// The backing store of a pager: a file with a page for each slot, for what the daemon refuses.
// Simple reads and writes, as each of the pager's threads waits for its own.
//
// Any thread; one page is written and read by one thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "pager/slots.h"

namespace fallow::pager {

class PageFile {
 public:
  // Empty `path`: a file without a name in `$TMPDIR` or /var/tmp; a folder: one there. `keep`:
  // content of a pager before this one stays; else the file is emptied. `bytes_max`: 0 for no bound
  // but the disk's.
  static Result<PageFile> open(const std::string& path, std::uint64_t bytes_max, bool keep);

  // 0 or a negative errno value; -ENOSPC: the file is full. `page` is aligned to 4096.
  int write(Slot slot, const std::byte* page);
  int read(Slot slot, std::byte* page);
  // The slot's page is not needed any more.
  void punch(Slot slot);

 private:
  PageFile(UniqueFd file, std::uint64_t pages_max)
      : file_(std::move(file)), pages_max_(pages_max) {}
  UniqueFd file_;
  std::uint64_t pages_max_;
};

}  // namespace fallow::pager
