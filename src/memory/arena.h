// A node's contribution: one file of frames on tmpfs or hugetlbfs, and the frame table beside it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "memory/frame_address.h"
#include "memory/frame_table.h"

namespace fallow::memory {

struct ArenaOptions {
  std::string directory = "/dev/shm";  // on tmpfs or hugetlbfs
  std::string name = "fallow";         // files NAME.frames, NAME.table and NAME.lock
  std::uint64_t bytes = 0;             // of frames; a multiple of kPageSize
  NodeId node{};
};

// Owns the two mappings and the lock that keeps a second daemon out. All of the memory is reserved
// when it is made: a full tmpfs is an error then, not a SIGBUS later.
//
// Any thread may use frames and records; who may touch which is the store's affair.
class Arena {
 public:
  // Frames and table start empty under an epoch one higher than the files' last one. Errors:
  // kInvalid for bad options, kExists when another daemon holds the files, kFailed for the rest.
  static Result<Arena> create(const ArenaOptions& options);
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;
  // Removes the files: without recovery nothing in them is of use to anyone, and it may be secret.
  ~Arena();

  [[nodiscard]] NodeId node() const { return NodeId(header().node); }
  [[nodiscard]] Epoch epoch() const { return Epoch(header().epoch); }
  [[nodiscard]] std::uint32_t frames() const { return static_cast<std::uint32_t>(header().frames); }
  [[nodiscard]] std::uint32_t patterns() const {
    return static_cast<std::uint32_t>(header().patterns);
  }
  // "tmpfs, 4 KiB pages", "tmpfs, huge pages wanted", "hugetlbfs": for logs and status.
  [[nodiscard]] const std::string& backing() const { return backing_; }
  // Bytes of the table: the memory that frames cost beyond themselves, but for the store's index.
  [[nodiscard]] std::uint64_t table_bytes() const { return table_.size(); }

  [[nodiscard]] std::byte* frame(std::uint32_t number) const {
    return frames_.data() + (std::size_t{number} << kPageShift);
  }
  // Records [0, frames()) are the frames', [frames(), frames() + patterns()) the patterns'.
  [[nodiscard]] FrameRecord& record(std::uint32_t number) const { return records_[number]; }
  [[nodiscard]] std::span<ClientRecord> clients() const;
  [[nodiscard]] std::span<PoolRecord> pools() const;

 private:
  Arena() = default;
  [[nodiscard]] const TableHeader& header() const {
    return *reinterpret_cast<const TableHeader*>(table_.data());
  }

  UniqueFd lock_;
  std::string path_;  // without suffix; empty once moved from
  Mapping frames_;
  Mapping table_;
  FrameRecord* records_ = nullptr;
  std::string backing_;
};

}  // namespace fallow::memory
