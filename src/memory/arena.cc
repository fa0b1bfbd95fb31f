#include "memory/arena.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/log.h"
#include "base/text.h"
#include "memory/reserved_file.h"

namespace fallow::memory {
namespace {

// One pattern record for every eight frames: with them the table, the links and the index stay
// under 2% of the frames (store.cc asserts the sum).
constexpr std::uint64_t kFramesPerPattern = 8;

std::uint64_t records_for(const ArenaOptions& options) {
  const std::uint64_t frames = options.bytes / kPageSize;
  return frames + kSpareFrames + frames / kFramesPerPattern +
         frames * options.compressed_pages_per_frame;
}

Status check_compression(const ArenaOptions& options) {
  if (options.compressed_pages_per_frame > kCompressedPagesPerFrameMax) {
    return invalid("compression of " + std::to_string(options.compressed_pages_per_frame) +
                   " pages in a frame is not to be had: " +
                   std::to_string(kCompressedPagesPerFrameMax) + " are the most");
  }
  if (options.compressed_pages_per_frame > 0 && options.bytes > kSlotArenaBytesMax) {
    return invalid("compression needs an arena of at most " + format_size(kSlotArenaBytesMax));
  }
  return {};
}

Status check_options(const ArenaOptions& options) {
  if (options.bytes == 0 || options.bytes % kPageSize != 0) {
    return invalid("memory of " + std::to_string(options.bytes) +
                   " bytes is not a multiple of 4096 above zero");
  }
  FALLOW_TRY(check_compression(options));
  if (records_for(options) >= std::numeric_limits<std::uint32_t>::max()) {
    return invalid("memory of " + format_size(options.bytes) + " is more than one arena can hold");
  }
  const auto page = reserved_page_size(options.directory);
  FALLOW_TRY(page);
  if (options.bytes % *page != 0) {
    return invalid("memory on hugetlbfs must be a multiple of " + format_size(*page));
  }
  return check_name(options.name);
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

TableHeader header_for(const ArenaOptions& options, std::uint32_t epoch) {
  TableHeader header{};
  header.magic = kTableMagic;
  header.version = kTableVersion;
  header.record_bytes = sizeof(FrameRecord);
  header.frames = options.bytes / kPageSize;
  header.patterns = header.frames / kFramesPerPattern;
  header.slots = header.frames * options.compressed_pages_per_frame;
  header.epoch = epoch;
  header.node = options.node.value;
  header.seal = seal_of(header);
  return header;
}

std::uint64_t table_bytes_for(const TableHeader& header) {
  return kRecordsOffset +
         (header.frames + kSpareFrames + header.patterns + header.slots) * sizeof(FrameRecord);
}

std::uint64_t frame_bytes_for(const ArenaOptions& options) {
  return options.bytes + kSpareFrames * kPageSize;
}

// The whole one with the higher epoch. When neither is whole: a damaged one, or zeros in a table
// that was never finished.
TableHeader latest_header(const Mapping& table) {
  TableHeader latest{};
  if (table.size() < kRecordsOffset) {
    return latest;
  }
  bool whole = false;
  for (const std::uint64_t at : {std::uint64_t{0}, kHeaderStride}) {
    TableHeader header{};
    std::memcpy(&header, table.data() + at, sizeof header);
    const bool good = header.magic == kTableMagic && header.seal == seal_of(header);
    if (good && (!whole || header.epoch > latest.epoch)) {
      latest = header;
      whole = true;
    } else if (!whole && header.magic != 0) {
      latest = header;
    }
  }
  if (!whole) {
    latest.epoch = 0;
  }
  return latest;
}

bool any_client(const Mapping& table) {
  if (table.size() < kRecordsOffset) {
    return false;
  }
  const auto* clients = reinterpret_cast<const ClientRecord*>(table.data() + kClientsOffset);
  return std::any_of(clients, clients + kClientsMax,
                     [](const ClientRecord& client) { return client.id != 0; });
}

Error cannot_take_over(const ArenaOptions& options, const std::string& why) {
  return invalid("the arena '" + options.directory + "/" + options.name + "' " + why +
                 "; or start with --discard-pages to give up the pages that it holds");
}

std::string compression_of(const TableHeader& header) {
  const std::uint64_t pages = header.frames == 0 ? 0 : header.slots / header.frames;
  return "compression = \"" + (pages == 0 ? "off" : std::to_string(pages)) + "\"";
}

// Why a table of a life before cannot be taken over; empty when it can.
std::string difference(const TableHeader& there, const ArenaOptions& options) {
  const TableHeader wanted = header_for(options, there.epoch);
  if (there.magic != kTableMagic || there.version != kTableVersion ||
      there.record_bytes != sizeof(FrameRecord)) {
    return "was left by another version of the daemon: let that one go on, or free its pages there";
  }
  if (there.seal != seal_of(there)) {
    return "is damaged";
  }
  if (there.frames != wanted.frames || there.patterns != wanted.patterns) {
    const std::uint64_t bytes = there.frames * kPageSize;
    return "holds pages in " + format_size(bytes) + ": start with memory = \"" +
           std::to_string(bytes) + "\"";
  }
  if (there.slots != wanted.slots) {
    return "was made for " + compression_of(there) + ": start with that";
  }
  if (there.node != wanted.node) {
    return "belongs to node " + std::to_string(there.node);
  }
  return "";
}

}  // namespace

Result<Arena> Arena::open(const ArenaOptions& options) {
  FALLOW_TRY(check_options(options));
  Arena arena;
  const std::string path = options.directory + "/" + options.name;
  auto lock = take_lock(path + ".lock");
  FALLOW_TRY(lock);
  arena.lock_ = std::move(*lock);
  arena.path_ = path;
  FALLOW_TRY(arena.take_over(options));
  arena.records_ = reinterpret_cast<FrameRecord*>(arena.table_.data() + kRecordsOffset);
  const bool huge = *reserved_page_size(options.directory) != kPageSize;
  const bool advised =
      !huge && ::madvise(arena.frames_.data(), arena.frames_.size(), MADV_HUGEPAGE) == 0;
  arena.backing_ = huge      ? "hugetlbfs"
                   : advised ? "tmpfs, huge pages where the host allows"
                             : "tmpfs";
  // A core dump must not carry the guests' pages.
  ::madvise(arena.frames_.data(), arena.frames_.size(), MADV_DONTDUMP);
  return arena;
}

// Makes new files when there are none, when those that are there hold nothing, or when what they
// hold is to be given up.
Status Arena::take_over(const ArenaOptions& options) {
  auto table = open_reserved(path_ + ".table");
  if (!table && table.error().code != ErrorCode::kNotFound) {
    return options.content == ArenaOptions::Content::kDiscard
               ? make_new(options, 1)
               : Status(cannot_take_over(options, "cannot be read: " + table.error().text));
  }
  const TableHeader there = table ? latest_header(*table) : TableHeader{};
  const std::uint32_t epoch = there.epoch + 1;
  // A header is written last, so a table without one was never used.
  if (there.magic == 0 || options.content == ArenaOptions::Content::kDiscard ||
      !any_client(*table)) {
    return make_new(options, epoch);
  }
  if (const std::string why = difference(there, options); !why.empty()) {
    return cannot_take_over(options, why);
  }
  auto frames = open_reserved(path_ + ".frames");
  if (!frames || frames->size() < frame_bytes_for(options) ||
      table->size() < table_bytes_for(there)) {
    return cannot_take_over(options, "has lost a part of its files");
  }
  table_ = std::move(*table);
  frames_ = std::move(*frames);
  recovered_ = true;
  has_files_ = true;
  write_header(header_for(options, epoch));
  return {};
}

void Arena::write_header(const TableHeader& header) {
  header_ = header;
  std::memcpy(table_.data() + header.epoch % 2 * kHeaderStride, &header, sizeof header);
}

Status Arena::make_new(const ArenaOptions& options, std::uint32_t epoch) {
  const TableHeader header = header_for(options, epoch);
  has_files_ = true;
  auto table = create_reserved(path_ + ".table", table_bytes_for(header));
  FALLOW_TRY(table);
  table_ = std::move(*table);
  auto frames = create_reserved(path_ + ".frames", frame_bytes_for(options));
  FALLOW_TRY(frames);
  frames_ = std::move(*frames);
  write_header(header);
  return {};
}

Arena::~Arena() {
  if (lock_.valid() && has_files_ && !any_client(table_)) {
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
