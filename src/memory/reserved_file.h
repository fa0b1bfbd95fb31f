// Files in memory that outlive the daemon's process: mapped, whole from the first moment, and with
// every byte reserved, so that a full file system is an error when they are made and never a SIGBUS
// later.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace fallow::memory {

// Of the folder's file system: 4096 on tmpfs, 2 MiB or more on hugetlbfs. kInvalid for any other.
Result<std::uint64_t> reserved_page_size(const std::string& folder);

// A new file of zeros, mode 0600, `bytes` rounded up to whole pages; replaces one that is there.
Result<Mapping> create_reserved(const std::string& path, std::uint64_t bytes);

// The whole of a file that is there; kNotFound when it is not.
Result<Mapping> open_reserved(const std::string& path);

}  // namespace fallow::memory
