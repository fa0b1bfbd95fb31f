#include "memory/reserved_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "base/units.h"

namespace fallow::memory {
namespace {

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

Result<std::uint64_t> reserved_page_size(const std::string& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) {
    return invalid(failed_errno("arena folder '" + folder + "'", errno).text);
  }
  if (info.f_type == HUGETLBFS_MAGIC) {
    return static_cast<std::uint64_t>(info.f_bsize);
  }
  if (info.f_type != TMPFS_MAGIC) {
    return invalid("arena folder '" + folder +
                   "' is on neither tmpfs nor hugetlbfs: choose one that is, such as /dev/shm");
  }
  return std::uint64_t{kPageSize};
}

Result<Mapping> create_reserved(const std::string& path, std::uint64_t bytes) {
  const auto page = reserved_page_size(std::filesystem::path(path).parent_path());
  FALLOW_TRY(page);
  bytes = round_up(bytes, *page);
  ::unlink(path.c_str());
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return failed_errno("cannot create '" + path + "'", errno);
  }
  if (::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) != 0) {
    ::unlink(path.c_str());
    return failed("not enough memory for '" + path + "': " + format_size(bytes) +
                  " wanted; lower 'memory' or make the file system larger");
  }
  auto mapping = Mapping::map_shared(fd.get(), 0, bytes);
  if (!mapping) {
    ::unlink(path.c_str());
  }
  return mapping;
}

Result<Mapping> open_reserved(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    const Error error = failed_errno("cannot open '" + path + "'", errno);
    return errno == ENOENT ? Error{ErrorCode::kNotFound, error.text} : error;
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || info.st_size <= 0) {
    return failed("'" + path + "' is empty");
  }
  return Mapping::map_shared(fd.get(), 0, static_cast<std::size_t>(info.st_size));
}

}  // namespace fallow::memory
