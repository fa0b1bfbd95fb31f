#include "bench/host_swap.h"

#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "bench/server_process.h"

namespace fallow::bench {

fallow::Result<std::unique_ptr<HostSwap>> HostSwap::on(const std::string& path) {
  (void)output_of("mkswap " + path + " 2>&1");
  constexpr int kFirst = SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK;
  if (::swapon(path.c_str(), kFirst) != 0) {
    return failed_errno("swapon of '" + path + "'", errno);
  }
  return std::unique_ptr<HostSwap>(new HostSwap(path));
}

HostSwap::~HostSwap() {
  ::swapoff(path_.c_str());
}

fallow::Result<std::unique_ptr<SwapFile>> SwapFile::create(std::uint64_t bytes) {
  std::unique_ptr<SwapFile> made(new SwapFile);
  const UniqueFd file(::open(made->path().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  const int error =
      file.valid() ? ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)) : errno;
  if (error != 0) {
    return failed_errno("cannot make a file to swap to in /var/tmp", error);
  }
  return made;
}

}  // namespace fallow::bench
