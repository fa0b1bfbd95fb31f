#include "run/process_memory.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/log.h"
#include "base/units.h"

namespace fallow::run {
namespace {

// How often a process that does not answer is looked at, and after how many looks it is left alone.
constexpr timespec kLook{0, 5'000'000};
constexpr unsigned kLooksMost = 400;

// Sleeps while the word is `value`. False: it was too long.
bool sleep_while(std::atomic<std::uint32_t>& at, std::uint32_t value) {
  return ::syscall(SYS_futex, &at, FUTEX_WAIT, value, &kLook, nullptr, 0) == 0 ||
         errno != ETIMEDOUT;
}

}  // namespace

Result<std::unique_ptr<ProcessMemory>> ProcessMemory::open(pid_t process, int board) {
  Result<ForeignMemory> shared = ForeignMemory::map(board, 0, kPageSize);
  FALLOW_TRY(shared);
  const std::string path = "/proc/" + std::to_string(process) + "/mem";
  UniqueFd memory(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory.valid()) {
    return failed_errno("cannot read the memory of process " + std::to_string(process), errno);
  }
  return std::unique_ptr<ProcessMemory>(new ProcessMemory(std::move(memory), std::move(*shared)));
}

bool ProcessMemory::read(const pager::Run& run, std::byte* to) {
  return read_at(memory_.get(), {to, run.pages * kPageSize}, run.begin);
}

// Nothing is at address 0, which is an error for an address space that is there.
bool ProcessMemory::alive() const {
  char nothing = 0;
  return ::pread(memory_.get(), &nothing, 1, 0) != 0;
}

// False: the process did not begin, and will not. A process that is stopped does nothing.
bool ProcessMemory::ask(std::span<const pager::Run> runs) {
  DropBoard& orders = board();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    orders.runs[i] = {runs[i].begin, runs[i].pages * kPageSize};
  }
  orders.count = static_cast<std::uint32_t>(runs.size());
  orders.state.store(DropBoard::kAsked);
  ::syscall(SYS_futex, &orders.state, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  for (unsigned looks = 0;;) {
    std::uint32_t state = orders.state.load();
    if (state != DropBoard::kAsked && state != DropBoard::kRunning) {
      orders.state.store(DropBoard::kIdle);
      return true;
    }
    if (sleep_while(orders.state, state)) {
      continue;
    }
    if (!alive()) {
      return true;
    }
    if (++looks % kLooksMost != 0) {
      continue;
    }
    if (state == DropBoard::kAsked &&
        orders.state.compare_exchange_strong(state, DropBoard::kIdle)) {
      return false;
    }
    log_warning("run_process_stands_still");
  }
}

void ProcessMemory::drop(std::span<pager::Run> runs) {
  while (!runs.empty()) {
    const std::size_t count = std::min<std::size_t>(runs.size(), DropBoard::kRunsMost);
    const bool gone = ask(runs.first(count));
    for (pager::Run& run : runs.first(count)) {
      run.gone = gone;
    }
    runs = runs.subspan(count);
  }
}

}  // namespace fallow::run
