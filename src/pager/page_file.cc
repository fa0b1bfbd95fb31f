#include "pager/page_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "base/units.h"
#include "pager/pace.h"

namespace fallow::pager {
namespace {

off_t offset_of(std::uint64_t number) {
  return static_cast<off_t>(number * kPageSize);
}

// As many whole pages as `move` moves, however often it stops between. `at_end`: it moved nothing.
template <typename Move>
PageFile::Moved move_pages(std::uint32_t first, std::span<const iovec> pages, int at_end,
                           Move move) {
  PageFile::Moved moved{0, 0};
  while (moved.pages < pages.size() && moved.error == 0) {
    const std::span<const iovec> rest = pages.subspan(moved.pages);
    const ssize_t bytes =
        move(rest.data(), static_cast<int>(rest.size()), offset_of(first + moved.pages));
    if (bytes < 0 && errno == EINTR) {
      continue;
    }
    const auto done = bytes < 0 ? 0 : static_cast<std::size_t>(bytes) / kPageSize;
    moved.error = bytes < 0 ? -errno : done == 0 ? at_end : 0;
    moved.pages += done;
  }
  return moved;
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

PageFile::PageFile(UniqueFd file, const PageFileOptions& options, const Clock& clock)
    : file_(std::move(file)),
      pages_max_(options.bytes_max == 0 ? UINT64_MAX : options.bytes_max / kPageSize),
      emulated_(options.speed.emulated()),
      bridge_most_(pager::bridge_most(options.speed)),
      clock_(clock),
      disk_(options.speed) {}

Result<std::unique_ptr<PageFile>> PageFile::open(const PageFileOptions& options,
                                                 const Clock& clock) {
  const int flags = O_RDWR | O_CLOEXEC | O_DIRECT;
  const std::string folder = options.path.empty() ? temporary_folder() : options.path;
  std::error_code error;
  Result<UniqueFd> file = std::filesystem::is_directory(folder, error)
                              ? open_unnamed(folder, flags)
                              : open_named(options.path, flags, options.keep);
  FALLOW_TRY(file);
  return std::unique_ptr<PageFile>(new PageFile(std::move(*file), options, clock));
}

// Meanwhile other threads' requests may begin: which overlap is the disk's to say.
void PageFile::wait_out(std::uint64_t begin_ns, std::uint32_t first, std::size_t pages) {
  if (!emulated_ || pages == 0) {
    return;
  }
  std::uint64_t until_ns = 0;
  {
    const std::lock_guard lock(mutex_);
    until_ns = disk_.done_ns(begin_ns, std::uint64_t{first} * kPageSize, pages * kPageSize);
  }
  clock_.sleep_until_ns(until_ns);
}

PageFile::Moved PageFile::write(std::uint32_t first, std::span<const iovec> pages) {
  CHECK(!pages.empty() && pages.size() <= kRunMost);
  const std::uint64_t begin_ns = clock_.now_ns();
  const auto room = static_cast<std::size_t>(
      first < pages_max_ ? std::min<std::uint64_t>(pages.size(), pages_max_ - first) : 0);
  Moved moved = move_pages(first, pages.first(room), -ENOSPC,
                           [this](const iovec* from, int count, off_t offset) {
                             return ::pwritev(file_.get(), from, count, offset);
                           });
  moved.error = moved.error == 0 && room < pages.size() ? -ENOSPC : moved.error;
  ++requests_;
  wait_out(begin_ns, first, moved.pages);
  return moved;
}

PageFile::Moved PageFile::read(std::uint32_t first, std::span<const iovec> pages) {
  CHECK(!pages.empty() && pages.size() <= kRunMost);
  const std::uint64_t begin_ns = clock_.now_ns();
  const Moved moved =
      move_pages(first, pages, -EIO, [this](const iovec* to, int count, off_t offset) {
        return ::preadv(file_.get(), to, count, offset);
      });
  ++requests_;
  wait_out(begin_ns, first, moved.pages);
  read_ns_ += clock_.now_ns() - begin_ns;
  return moved;
}

void PageFile::punch(std::uint32_t first, std::uint32_t pages) {
  // What cannot be punched only takes room.
  (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(first),
                    offset_of(pages));
}

}  // namespace fallow::pager
