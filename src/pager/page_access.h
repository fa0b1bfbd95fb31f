// How a pager reaches the pages of an address space beside its userfaultfd: to read what it is
// about to take away, and to take it away.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace fallow::pager {

// Pages next to each other.
struct Run {
  std::uint64_t begin;  // address
  std::uint64_t pages;
  bool gone = false;  // drop(): they are not in RAM any more
};

// One thread at a time.
class PageAccess {
 public:
  virtual ~PageAccess() = default;
  // Copies pages that are there and write-protected. False: they cannot be read.
  virtual bool read(const Run& run, std::byte* to) = 0;
  // Takes the pages away. Of those runs that are `gone`, any page may be; of the others, every page
  // is still there, and nobody is about to take it.
  virtual void drop(std::span<Run> runs) = 0;
  // Those of these pages that are in RAM or swap, whether they are mapped or not, in order; all,
  // where that cannot be known. Any thread.
  [[nodiscard]] virtual std::vector<Run> present(const Run& run) const { return {run}; }
};

// This process's own private memory.
class OwnMemory final : public PageAccess {
 public:
  OwnMemory();
  bool read(const Run& run, std::byte* to) override;
  void drop(std::span<Run> runs) override;
  [[nodiscard]] std::vector<Run> present(const Run& run) const override;

 private:
  const UniqueFd page_map_;  // of the kernel; invalid: it does not let this process look
};

// A file of shared memory, whose pages are mapped by another process.
class FileMemory final : public PageAccess {
 public:
  // `file` stays its owner's. `address` is where the file's byte `offset` is mapped over there.
  explicit FileMemory(int file) : file_(file) {}
  void add_mapping(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset);

  bool read(const Run& run, std::byte* to) override;
  void drop(std::span<Run> runs) override;
  [[nodiscard]] std::vector<Run> present(const Run& run) const override;

 private:
  struct Mapped {
    std::uint64_t address;
    std::uint64_t bytes;
    std::uint64_t offset;
  };
  // A part of a run that lies in one mapping, and so in one piece in the file.
  struct Piece {
    std::uint64_t address;
    off_t offset;
    std::size_t bytes;
  };
  [[nodiscard]] std::vector<Piece> pieces_of(const Run& run) const;
  const int file_;
  std::vector<Mapped> mappings_;
};

}  // namespace fallow::pager
