#include "base/bus_error_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

namespace fallow {
namespace {

struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<bool> broken{false};
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::uintptr_t> page_size{0};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

std::array<Slot, BusErrorGuard::kRangesMax> slots;
std::atomic<std::uint64_t> survived_count{0};
struct sigaction previous_action;

Slot* find_slot(std::uintptr_t address) {
  for (Slot& slot : slots) {
    // acquire: pairs with the release of `end` in watch(), so that `begin` is the same range's.
    if (address < slot.end.load(std::memory_order_acquire) && address >= slot.begin.load()) {
      return &slot;
    }
  }
  return nullptr;
}

// The raw system call: the sanitizers' wrappers of mmap are not made for signal handlers.
bool put_zeros_over(std::uintptr_t page, std::size_t size) {
  const long at = ::syscall(SYS_mmap, page, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  return at == static_cast<long>(page);
}

void pass_on(int number, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(number, info, context);
    return;
  }
  // Returning runs the instruction again, now with the action that was there before us.
  ::sigaction(SIGBUS, &previous_action, nullptr);
}

void on_bus_error(int number, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  Slot* slot = find_slot(address);
  if (slot != nullptr) {
    const std::size_t page_size = slot->page_size.load();
    slot->broken.store(true);
    survived_count.fetch_add(1);
    if (put_zeros_over(address & ~(page_size - 1), page_size)) {
      return;
    }
  }
  pass_on(number, info, context);
}

void install_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &previous_action);
}

}  // namespace

BusErrorGuard::BusErrorGuard(BusErrorGuard&& other) noexcept
    : slot_(std::exchange(other.slot_, kRangesMax)) {}

BusErrorGuard& BusErrorGuard::operator=(BusErrorGuard&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

BusErrorGuard::~BusErrorGuard() {
  if (slot_ != kRangesMax) {
    slots[slot_].end.store(0);
    slots[slot_].taken.store(false);
  }
}

Result<BusErrorGuard> BusErrorGuard::watch(std::byte* begin, std::size_t size,
                                           std::size_t page_size) {
  static std::once_flag installed;
  std::call_once(installed, install_handler);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    bool expected = false;
    Slot& slot = slots[i];
    if (slot.taken.load() || !slot.taken.compare_exchange_strong(expected, true)) {
      continue;
    }
    const auto from = reinterpret_cast<std::uintptr_t>(begin);
    slot.broken.store(false);
    slot.page_size.store(page_size);
    slot.begin.store(from);
    // release: pairs with the acquire in find_slot().
    slot.end.store(from + size, std::memory_order_release);
    return BusErrorGuard(i);
  }
  return failed("too many regions of shared memory: " + std::to_string(kRangesMax) +
                " are the most");
}

std::uint64_t BusErrorGuard::survived() {
  return survived_count.load();
}

bool BusErrorGuard::broken() const {
  return slot_ != kRangesMax && slots[slot_].broken.load();
}

}  // namespace fallow
