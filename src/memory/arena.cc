#include "memory/arena.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "base/log.h"
#include "base/text.h"

namespace fallow::memory {
namespace {

// One pattern record for every eight frames: with them the table, the links and the index stay
// under 2% of the frames (store.cc asserts the sum).
constexpr std::uint64_t kFramesPerPattern = 8;
constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

Status check_options(const ArenaOptions& options) {
  const std::uint64_t frames = options.bytes / kPageSize;
  if (options.bytes == 0 || options.bytes % kPageSize != 0) {
    return invalid("memory of " + std::to_string(options.bytes) +
                   " bytes is not a multiple of 4096 above zero");
  }
  if (frames + frames / kFramesPerPattern >= std::numeric_limits<std::uint32_t>::max()) {
    return invalid("memory of " + format_size(options.bytes) + " is more than one arena can hold");
  }
  return check_name(options.name);
}

Result<bool> is_on_hugetlbfs(const std::string& directory) {
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) {
    return invalid(failed_errno("arena folder '" + directory + "'", errno).text);
  }
  if (info.f_type == HUGETLBFS_MAGIC) {
    return true;
  }
  if (info.f_type != TMPFS_MAGIC) {
    return invalid("arena folder '" + directory +
                   "' is on neither tmpfs nor hugetlbfs: choose one that is, such as /dev/shm");
  }
  return false;
}

// The holder removes the file under the lock, so a lock on a removed file counts for nothing.
bool still_at(const UniqueFd& fd, const std::string& path) {
  struct stat held {};
  struct stat there {};
  return ::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
         held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

Result<UniqueFd> take_lock(const std::string& path) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) {
      return failed_errno("cannot open '" + path + "'", errno);
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      return Error{ErrorCode::kExists, "another daemon uses the arena '" + path +
                                           "': stop it or give this one another name or folder"};
    }
    if (still_at(fd, path)) {
      return fd;
    }
  }
}

// The epoch of the life before, 0 when there was none or its header is damaged.
std::uint32_t last_epoch(const std::string& table_path) {
  const UniqueFd fd(::open(table_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  TableHeader header{};
  const bool whole = fd.valid() && ::read(fd.get(), &header, sizeof header) == sizeof header;
  const bool ours = whole && header.magic == kTableMagic && header.version == kTableVersion &&
                    header.seal == seal_of(header);
  return ours ? header.epoch : 0;
}

// A new file of exactly `bytes`, all of them reserved.
Result<Mapping> create_reserved(const std::string& path, std::uint64_t bytes) {
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
  return Mapping::map_shared(fd.get(), 0, bytes);
}

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void write_header(std::byte* table, const ArenaOptions& options, std::uint64_t frames,
                  std::uint32_t epoch) {
  TableHeader header{};
  header.magic = kTableMagic;
  header.version = kTableVersion;
  header.record_bytes = sizeof(FrameRecord);
  header.frames = frames;
  header.patterns = frames / kFramesPerPattern;
  header.epoch = epoch;
  header.node = options.node.value;
  header.seal = seal_of(header);
  std::memcpy(table, &header, sizeof header);
}

}  // namespace

Result<Arena> Arena::create(const ArenaOptions& options) {
  FALLOW_TRY(check_options(options));
  const auto huge = is_on_hugetlbfs(options.directory);
  FALLOW_TRY(huge);
  if (*huge && options.bytes % kHugePage != 0) {
    return invalid("memory on hugetlbfs must be a multiple of 2 MiB");
  }
  Arena arena;
  const std::string path = options.directory + "/" + options.name;
  auto lock = take_lock(path + ".lock");
  FALLOW_TRY(lock);
  arena.lock_ = std::move(*lock);
  arena.path_ = path;  // from here on the destructor removes the files

  const std::uint64_t frames = options.bytes / kPageSize;
  const std::uint64_t records = frames + frames / kFramesPerPattern;
  const std::uint64_t table_bytes =
      round_up(kRecordsOffset + records * sizeof(FrameRecord), *huge ? kHugePage : kPageSize);
  const std::uint32_t epoch = last_epoch(path + ".table") + 1;
  auto table = create_reserved(path + ".table", table_bytes);
  FALLOW_TRY(table);
  arena.table_ = std::move(*table);
  auto mapping = create_reserved(path + ".frames", options.bytes);
  FALLOW_TRY(mapping);
  arena.frames_ = std::move(*mapping);

  write_header(arena.table_.data(), options, frames, epoch);
  arena.records_ = reinterpret_cast<FrameRecord*>(arena.table_.data() + kRecordsOffset);
  const bool advised =
      !*huge && ::madvise(arena.frames_.data(), arena.frames_.size(), MADV_HUGEPAGE) == 0;
  arena.backing_ = *huge     ? "hugetlbfs"
                   : advised ? "tmpfs, huge pages where the host allows"
                             : "tmpfs";
  // A core dump must not carry the guests' pages.
  ::madvise(arena.frames_.data(), arena.frames_.size(), MADV_DONTDUMP);
  return arena;
}

Arena::~Arena() {
  if (lock_.valid()) {
    ::unlink((path_ + ".frames").c_str());
    ::unlink((path_ + ".table").c_str());
    ::unlink((path_ + ".lock").c_str());
  }
}

std::span<ClientRecord> Arena::clients() const {
  return {reinterpret_cast<ClientRecord*>(table_.data() + kClientsOffset), kClientsMax};
}

std::span<PoolRecord> Arena::pools() const {
  return {reinterpret_cast<PoolRecord*>(table_.data() + kPoolsOffset), kPoolsMax};
}

}  // namespace fallow::memory
