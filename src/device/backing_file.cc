#include "device/backing_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/text.h"

namespace fallow {
namespace {

std::string quoted(const std::string& path) {
  return "'" + path + "'";
}

Error bad_file(const std::string& path, const std::string& what) {
  return invalid("backing file " + quoted(path) + " " + what);
}

Error open_error(const BackingOptions& options, int error) {
  if (error == ENOENT && options.content == BackingOptions::Content::kRecover) {
    return bad_file(options.path, "is gone, and it held pages of the device");
  }
  if (error == ENOENT && options.origin == BackingOptions::Origin::kUse) {
    return bad_file(options.path,
                    "does not exist: create it (truncate -s SIZE FILE) or name no file");
  }
  if (error == EACCES || error == EROFS || error == EPERM) {
    return bad_file(options.path, "cannot be written: it must be readable and writable");
  }
  // Of the rest, these are the path's own fault; the others (no descriptor left, no room) may pass.
  const Error plain = failed_errno("backing file " + quoted(options.path), error);
  const bool path_wrong = error == ENOENT || error == ENOTDIR || error == EISDIR ||
                          error == ELOOP || error == ENAMETOOLONG || error == ENXIO;
  return path_wrong ? invalid(plain.text) : plain;
}

// With O_DIRECT where the file system can, so that refused pages do not come back to memory through
// the host's page cache.
Result<UniqueFd> open_file(const BackingOptions& options, bool* direct) {
  const bool create = options.origin == BackingOptions::Origin::kCreate;
  const bool recover = options.content == BackingOptions::Content::kRecover;
  const int flags =
      O_RDWR | O_CLOEXEC | (create ? O_NOFOLLOW : 0) | (create && !recover ? O_CREAT : 0);
  for (const int extra : {O_DIRECT, 0}) {
    UniqueFd fd(::open(options.path.c_str(), flags | extra, 0600));
    if (fd.valid()) {
      *direct = extra != 0;
      return fd;
    }
    if (errno != EINVAL) {
      break;
    }
  }
  return open_error(options, errno);
}

Result<std::uint64_t> size_of(int fd, const struct stat& info) {
  if (S_ISREG(info.st_mode)) {
    return static_cast<std::uint64_t>(info.st_size);
  }
  std::uint64_t size = 0;
  if (!S_ISBLK(info.st_mode) || ::ioctl(fd, BLKGETSIZE64, &size) != 0) {
    return invalid("is neither a file nor a block device");
  }
  return size;
}

bool has_content(int fd, const struct stat& info) {
  // A block device does not tell; take it that it has some.
  return S_ISBLK(info.st_mode) || ::lseek(fd, 0, SEEK_DATA) >= 0;
}

// The lock belongs to the open file: a second device on the same file, by whatever name, is told.
Status lock_file(int fd, const BackingOptions& options) {
  constexpr unsigned kStepMs = 20;
  unsigned left_ms =
      options.content == BackingOptions::Content::kRecover ? BackingFile::kLockWaitMs : 0;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (left_ms == 0) {
      return bad_file(options.path, "is in use by another device or daemon");
    }
    left_ms -= kStepMs;
    ::poll(nullptr, 0, kStepMs);
  }
  return {};
}

Status check_size(int fd, const struct stat& info, const BackingOptions& options) {
  const auto size = size_of(fd, info);
  if (!size) {
    return bad_file(options.path, size.error().text);
  }
  if (*size < options.size_bytes) {
    return bad_file(options.path, "has " + format_size(*size) + ", and the device needs " +
                                      format_size(options.size_bytes) +
                                      ": make it larger (truncate -s)");
  }
  return {};
}

Status check_empty(int fd, const struct stat& info, const BackingOptions& options) {
  if (options.content == BackingOptions::Content::kKeep && has_content(fd, info)) {
    return bad_file(options.path,
                    "has content, and a device starts empty: pass --discard-backing"
                    " (discard_backing = true) to give the content up");
  }
  return {};
}

// Drops all content; the file is exactly as large as the device, sparse.
Status empty_file(int fd, const struct stat& info, const BackingOptions& options) {
  if (S_ISBLK(info.st_mode)) {
    std::uint64_t range[2] = {0, options.size_bytes};
    ::ioctl(fd, BLKDISCARD, &range);  // a hint: stale blocks are never read
    return {};
  }
  if (::ftruncate(fd, 0) != 0 || ::ftruncate(fd, static_cast<off_t>(options.size_bytes)) != 0) {
    return failed_errno("cannot size backing file " + quoted(options.path), errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<BackingFile>> BackingFile::open(const BackingOptions& options) {
  std::unique_ptr<BackingFile> backing(new BackingFile(options));
  auto fd = open_file(options, &backing->direct_);
  FALLOW_TRY(fd);
  backing->file_ = std::move(*fd);
  const int file = backing->file_.get();
  FALLOW_TRY(lock_file(file, options));
  struct stat info {};
  if (::fstat(file, &info) != 0) {
    return open_error(options, errno);
  }
  const bool recover = options.content == BackingOptions::Content::kRecover;
  if (recover || options.origin == BackingOptions::Origin::kUse) {
    FALLOW_TRY(check_size(file, info, options));
  }
  if (!recover && options.origin == BackingOptions::Origin::kUse) {
    FALLOW_TRY(check_empty(file, info, options));
  }
  FALLOW_TRY(backing->start_ring());
  if (recover) {
    return backing;
  }
  if (options.origin == BackingOptions::Origin::kCreate || has_content(file, info)) {
    FALLOW_TRY(empty_file(file, info, options));
  }
  return backing;
}

Status BackingFile::grow(std::uint64_t size_bytes) {
  BackingOptions grown = options_;
  grown.size_bytes = size_bytes;
  struct stat info {};
  if (::fstat(file_.get(), &info) != 0) {
    return open_error(options_, errno);
  }
  if (options_.origin == BackingOptions::Origin::kUse) {
    FALLOW_TRY(check_size(file_.get(), info, grown));
  } else if (static_cast<std::uint64_t>(info.st_size) < size_bytes &&
             ::ftruncate(file_.get(), static_cast<off_t>(size_bytes)) != 0) {
    return failed_errno("cannot size backing file " + quoted(options_.path), errno);
  }
  options_ = grown;
  return {};
}

Status BackingFile::start_ring() {
  event_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int error = -io_uring_queue_init(kDepthMax, &ring_, 0);
  if (error != 0) {
    const std::string hint =
        error == EPERM ? " (is kernel.io_uring_disabled set, or a seccomp filter in the way?)" : "";
    return failed(failed_errno("cannot start io_uring", error).text + hint);
  }
  ring_started_ = true;
  if (!event_.valid() || io_uring_register_eventfd(&ring_, event_.get()) != 0) {
    return failed("cannot get io_uring's completions signalled");
  }
  return {};
}

BackingFile::~BackingFile() {
  if (ring_started_) {
    io_uring_queue_exit(&ring_);
  }
}

void BackingFile::submit(BackingIo* io) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  CHECK(sqe != nullptr);  // at most kDepthMax are under way, and each is submitted at once
  switch (io->kind) {
    case BackingIo::Kind::kRead:
      io_uring_prep_read(sqe, file_.get(), io->buffer, static_cast<unsigned>(io->length),
                         io->offset);
      break;
    case BackingIo::Kind::kWrite:
      io_uring_prep_write(sqe, file_.get(), io->buffer, static_cast<unsigned>(io->length),
                          io->offset);
      break;
    case BackingIo::Kind::kPunch:
      io_uring_prep_fallocate(sqe, file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(io->offset), static_cast<off_t>(io->length));
      break;
    case BackingIo::Kind::kSync:
      io_uring_prep_fsync(sqe, file_.get(), IORING_FSYNC_DATASYNC);
      break;
  }
  io_uring_sqe_set_data(sqe, io);
  submit_queued();
}

// What the kernel does not take now (it is out of memory, say) stays queued; the event has poll()
// try again, after whatever else the owner's loop has to do.
void BackingFile::submit_queued() {
  if (io_uring_submit(&ring_) < 0) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  }
}

void BackingFile::poll() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t drained = ::read(event_.get(), &count, sizeof count);
  if (io_uring_sq_ready(&ring_) > 0) {
    submit_queued();
  }
  io_uring_cqe* cqe = nullptr;
  while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
    complete(cqe);
  }
}

void BackingFile::wait() {
  if (io_uring_sq_ready(&ring_) > 0) {
    submit_queued();
  }
  io_uring_cqe* cqe = nullptr;
  if (io_uring_wait_cqe(&ring_, &cqe) == 0) {
    complete(cqe);
  }
  poll();
}

void BackingFile::complete(io_uring_cqe* cqe) {
  auto* io = static_cast<BackingIo*>(io_uring_cqe_get_data(cqe));
  const int result = cqe->res;
  io_uring_cqe_seen(&ring_, cqe);
  const bool moves_data = io->kind == BackingIo::Kind::kRead || io->kind == BackingIo::Kind::kWrite;
  if (result == -EINTR || result == -EAGAIN) {
    submit(io);
    return;
  }
  if (moves_data && result > 0 && static_cast<std::uint64_t>(result) < io->length) {
    io->offset += static_cast<std::uint64_t>(result);
    io->buffer += result;
    io->length -= static_cast<std::uint64_t>(result);
    submit(io);  // a short transfer goes on where it stopped
    return;
  }
  io->done(io, result < 0 ? -result : moves_data && result == 0 ? EIO : 0);
}

}  // namespace fallow
