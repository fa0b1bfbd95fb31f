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

// A slab of the smallest slots has no more.
inline constexpr std::uint32_t kCompressedPagesPerFrameMax = 16;

struct ArenaOptions {
  std::string directory = "/dev/shm";  // on tmpfs or hugetlbfs
  std::string name = "fallow";         // files NAME.frames, NAME.table and NAME.lock
  std::uint64_t bytes = 0;             // of frames; a multiple of kPageSize
  NodeId node{};
  // Records for pages that are held compressed, for each frame; 0: no page can be.
  std::uint32_t compressed_pages_per_frame = 0;
  // What a life before left: its pages go on to be held, or are given up.
  enum class Content { kKeep, kDiscard } content = Content::kKeep;
};

// Owns the two mappings and the lock that keeps a second daemon out. All of the memory is reserved
// when it is made: a full tmpfs is an error then, not a SIGBUS later.
//
// Any thread may use frames and records; who may touch which is the store's affair.
class Arena {
 public:
  // The files of the life before, with the pages that they hold, or new and empty ones; under an
  // epoch one higher than the last. Errors: kInvalid for bad options, and when the files that are
  // there hold pages and cannot be taken over (another size, another format, damage); kExists when
  // another daemon holds them; kFailed for the rest.
  static Result<Arena> open(const ArenaOptions& options);
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;
  // The files stay when they hold clients: the next life takes them over. Else they go.
  ~Arena();

  [[nodiscard]] NodeId node() const { return NodeId(header().node); }
  [[nodiscard]] Epoch epoch() const { return Epoch(header().epoch); }
  // That can be held. There are kSpareFrames more: frame numbers are below frame_records().
  [[nodiscard]] std::uint32_t frames() const { return static_cast<std::uint32_t>(header().frames); }
  [[nodiscard]] std::uint32_t frame_records() const { return frames() + kSpareFrames; }
  [[nodiscard]] std::uint32_t patterns() const {
    return static_cast<std::uint32_t>(header().patterns);
  }
  [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(header().slots); }
  // True when the table is that of a life before: whoever uses it looks at what it holds.
  [[nodiscard]] bool recovered() const { return recovered_; }
  // Where another file of this arena's may be, such as a device's map: "FOLDER/NAME" + suffix.
  [[nodiscard]] std::string path_of(const std::string& suffix) const { return path_ + suffix; }
  // "tmpfs, 4 KiB pages", "tmpfs, huge pages wanted", "hugetlbfs": for logs and status.
  [[nodiscard]] const std::string& backing() const { return backing_; }
  // Bytes of the table: the memory that frames cost beyond themselves, but for the store's index.
  [[nodiscard]] std::uint64_t table_bytes() const { return table_.size(); }

  [[nodiscard]] std::byte* frame(std::uint32_t number) const {
    return frames_.data() + (std::size_t{number} << kPageShift);
  }
  [[nodiscard]] std::byte* slot(std::uint32_t place) const {
    return frames_.data() + place * kSlotGranule;
  }
  // All records: [0, frame_records()) are the frames', behind them patterns() of the patterns' and
  // slots() of the slots'.
  [[nodiscard]] std::uint32_t records() const { return frame_records() + patterns() + slots(); }
  [[nodiscard]] FrameRecord& record(std::uint32_t number) const { return records_[number]; }
  [[nodiscard]] std::span<ClientRecord> clients() const;
  [[nodiscard]] std::span<PoolRecord> pools() const;

 private:
  Arena() = default;
  Status take_over(const ArenaOptions& options);
  Status make_new(const ArenaOptions& options, std::uint32_t epoch);
  void write_header(const TableHeader& header);
  [[nodiscard]] const TableHeader& header() const { return header_; }

  UniqueFd lock_;
  std::string path_;        // without suffix
  bool has_files_ = false;  // they are ours to remove
  TableHeader header_{};
  Mapping frames_;
  Mapping table_;
  FrameRecord* records_ = nullptr;
  std::string backing_;
  bool recovered_ = false;
};

}  // namespace fallow::memory
