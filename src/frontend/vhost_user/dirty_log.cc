#include "frontend/vhost_user/dirty_log.h"

#include <atomic>
#include <string>

#include "base/units.h"
#include "frontend/vhost_user/eventfd.h"

namespace fallow::vhost_user {

Status DirtyLog::map(int fd, std::uint64_t offset, std::uint64_t size) {
  if (size > kBytesMax) {
    return invalid("a dirty log of " + std::to_string(size) + " bytes is larger than " +
                   std::to_string(kBytesMax));
  }
  auto memory = ForeignMemory::map(fd, offset, size);
  if (!memory) {
    return memory.error();
  }
  memory_ = std::make_unique<ForeignMemory>(std::move(*memory));
  missed_ = false;
  return {};
}

void DirtyLog::mark(std::uint64_t address, std::uint64_t size) {
  if (size == 0) {
    return;
  }
  const std::uint64_t first = address >> kPageShift;
  const std::uint64_t last = (address + size - 1) >> kPageShift;
  if (memory_ == nullptr || last < first || last / 8 >= memory_->size()) {
    missed_ = true;
    return;
  }
  auto* bytes = reinterpret_cast<std::uint8_t*>(memory_->data());
  for (std::uint64_t page = first; page <= last; ++page) {
    const auto bit = static_cast<std::uint8_t>(1u << page % 8);
    // release: the page was written before. Pairs with the front end's exchange of the word.
    std::atomic_ref<std::uint8_t>(bytes[page / 8]).fetch_or(bit, std::memory_order_release);
  }
  marked_ = true;
}

void DirtyLog::notify() {
  if (marked_ && notifier_.valid()) {
    signal_eventfd(notifier_.get());
  }
  marked_ = false;
}

}  // namespace fallow::vhost_user
