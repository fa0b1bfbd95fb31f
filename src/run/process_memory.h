// The private memory of another process, for its pager: read through /proc, dropped by a thread of
// the process itself that is asked to (protocol.h).
#pragma once

#include <sys/types.h>

#include <memory>

#include "base/foreign_memory.h"
#include "pager/page_access.h"
#include "run/protocol.h"

namespace fallow::run {

class ProcessMemory final : public pager::PageAccess {
 public:
  // `board`: a file in memory that holds the process's DropBoard. Errors: kInvalid for what the
  // process did wrong, kFailed where its memory may not be read.
  static Result<std::unique_ptr<ProcessMemory>> open(pid_t process, int board);

  bool read(const pager::Run& run, std::byte* to) override;
  void drop(std::span<pager::Run> runs) override;

 private:
  ProcessMemory(UniqueFd memory, ForeignMemory board)
      : memory_(std::move(memory)), board_(std::move(board)) {}
  [[nodiscard]] DropBoard& board() const { return *reinterpret_cast<DropBoard*>(board_.data()); }
  [[nodiscard]] bool alive() const;
  bool ask(std::span<const pager::Run> runs);

  const UniqueFd memory_;  // of the address space: another program of the same process is another
  const ForeignMemory board_;
};

}  // namespace fallow::run
