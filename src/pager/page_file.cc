#include "pager/page_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/units.h"

namespace fallow::pager {
namespace {

off_t offset_of(Slot slot) {
  return static_cast<off_t>(std::uint64_t{slot} * kPageSize);
}

std::string temporary_folder() {
  const char* chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

Result<UniqueFd> open_unnamed(const std::string& directory, int flags) {
  UniqueFd file(::open(directory.c_str(), O_TMPFILE | flags, 0600));
  if (!file.valid() && errno == EINVAL) {  // a file system without O_DIRECT
    file.reset(::open(directory.c_str(), O_TMPFILE | (flags & ~O_DIRECT), 0600));
  }
  if (!file.valid()) {
    return failed_errno("cannot make a backing file in " + directory + " (name one, or set TMPDIR)",
                        errno);
  }
  return file;
}

Result<UniqueFd> open_named(const std::string& path, int flags, bool keep) {
  UniqueFd file(::open(path.c_str(), O_CREAT | O_NOFOLLOW | flags, 0600));
  if (!file.valid() && errno == EINVAL) {
    file.reset(::open(path.c_str(), O_CREAT | O_NOFOLLOW | (flags & ~O_DIRECT), 0600));
  }
  if (!file.valid()) {
    return invalid(failed_errno("cannot open the backing file '" + path + "'", errno).text);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return invalid("the backing file '" + path + "' is not a regular file: name another");
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return invalid("the backing file '" + path + "' is in use by another pager: name another");
  }
  if (!keep && ::ftruncate(file.get(), 0) != 0) {
    return failed_errno("cannot empty the backing file '" + path + "'", errno);
  }
  return file;
}

}  // namespace

Result<PageFile> PageFile::open(const std::string& path, std::uint64_t bytes_max, bool keep) {
  const int flags = O_RDWR | O_CLOEXEC | O_DIRECT;
  const std::string folder = path.empty() ? temporary_folder() : path;
  std::error_code error;
  Result<UniqueFd> file = std::filesystem::is_directory(folder, error)
                              ? open_unnamed(folder, flags)
                              : open_named(path, flags, keep);
  FALLOW_TRY(file);
  return PageFile(std::move(*file), bytes_max == 0 ? UINT64_MAX : bytes_max / kPageSize);
}

int PageFile::write(Slot slot, const std::byte* page) {
  if (slot >= pages_max_) {
    return -ENOSPC;
  }
  ssize_t bytes = 0;
  do {
    bytes = ::pwrite(file_.get(), page, kPageSize, offset_of(slot));
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) {
    return -errno;
  }
  return bytes == kPageSize ? 0 : -ENOSPC;
}

int PageFile::read(Slot slot, std::byte* page) {
  ssize_t bytes = 0;
  do {
    bytes = ::pread(file_.get(), page, kPageSize, offset_of(slot));
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) {
    return -errno;
  }
  return bytes == kPageSize ? 0 : -EIO;
}

void PageFile::punch(Slot slot) {
  // What cannot be punched only takes room.
  (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(slot),
                    kPageSize);
}

}  // namespace fallow::pager
