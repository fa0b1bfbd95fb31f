#include "pager/page_store.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include "base/check.h"
#include "base/log.h"
#include "base/units.h"

namespace fallow::pager {
namespace {

constexpr std::uint64_t kPoolLabel = 1;
// How long a wait lasts before it is told of; then it goes on.
constexpr unsigned kAwayMs = 2'000;
constexpr unsigned kBatch = 32;
// Pages that are worth a system call together.
constexpr std::size_t kAtOnce = 8;

Error store_error(const std::string& what, int error) {
  const std::string text = what + ": " + fallow_error();
  return {error == -ENOTCONN ? ErrorCode::kUnreachable : ErrorCode::kFailed, text};
}

// A request to the file that is being put together.
class FileRun {
 public:
  explicit FileRun(std::byte* spare) : spare_(spare) {}

  // False: the page, which is the one with this index, is not next to those that are in it.
  bool add(const Transfer& page, std::size_t index, std::size_t bridge_most) {
    const std::uint32_t gap = count_ == 0 ? 0 : page.slot - end_;
    if (gap > bridge_most || count_ + gap >= PageFile::kRunMost) {
      return false;
    }
    for (std::uint32_t i = 0; i < gap; ++i) {
      push(spare_, index);
    }
    push(page.page, index);
    end_ = page.slot + 1;
    return true;
  }

  [[nodiscard]] std::span<const iovec> pages() const { return {pages_.data(), count_}; }
  // The page's that is at this place of the run, or behind what is bridged there.
  [[nodiscard]] std::size_t index(std::size_t at) const { return indexes_[at]; }
  [[nodiscard]] bool bridges(std::size_t at) const { return pages_[at].iov_base == spare_; }
  // How many of the first pages somebody wants.
  [[nodiscard]] std::uint64_t wanted(std::size_t pages) const {
    std::uint64_t count = 0;
    for (std::size_t at = 0; at < pages; ++at) {
      count += !bridges(at);
    }
    return count;
  }

 private:
  void push(std::byte* page, std::size_t index) {
    pages_[count_] = {page, kPageSize};
    indexes_[count_++] = index;
  }
  std::byte* const spare_;
  std::array<iovec, PageFile::kRunMost> pages_;
  std::array<std::size_t, PageFile::kRunMost> indexes_;
  std::size_t count_ = 0;
  Slot end_ = kNoSlot;
};

}  // namespace

Result<std::unique_ptr<PageStore>> PageStore::open(const StoreOptions& options,
                                                   const Clock& clock) {
  Result<std::unique_ptr<PageFile>> file = PageFile::open({.path = options.backing_path,
                                                           .bytes_max = options.backing_bytes_max,
                                                           .keep = options.resume,
                                                           .speed = options.backing_speed},
                                                          clock);
  FALLOW_TRY(file);
  std::unique_ptr<PageStore> store(new PageStore(std::move(*file)));
  if (!options.daemon) {
    return store;
  }
  fallow_options connect{};
  connect.size = sizeof connect;
  connect.socket = options.socket.empty() ? nullptr : options.socket.c_str();
  connect.name = options.name.empty() ? nullptr : options.name.c_str();
  connect.reconnect_timeout_ms = kAwayMs;
  connect.keep_seconds = options.keep_seconds;
  connect.secret = &options.secret;
  if (const int error = fallow_connect(&connect, &store->client_); error != 0) {
    return store_error("cannot reach the daemon", error);
  }
  // Whatever fails from here on, they are not dropped.
  store->leaves_ = options.resume && fallow_resumed(store->client_) == 1;
  fallow_queue* queue = nullptr;
  int error = fallow_queue_open(store->client_, 1, &queue);
  if (error == 0) {
    error = fallow_pool_open(queue, FALLOW_PERSISTENT, kPoolLabel, &store->pool_);
    if (error == 0 && !options.resume && fallow_resumed(store->client_) == 1) {
      (void)fallow_pool_destroy(queue, store->pool_);
      error = fallow_pool_open(queue, FALLOW_PERSISTENT, kPoolLabel, &store->pool_);
    }
    fallow_queue_close(queue);
  }
  if (error != 0) {
    return store_error("cannot open a pool with the daemon", error);
  }
  return store;
}

PageStore::~PageStore() {
  if (client_ != nullptr && !(leaves_ && fallow_leave(client_) == 0)) {
    fallow_close(client_);
  }
}

Result<std::unique_ptr<PageLink>> PageLink::open(PageStore& store) {
  std::unique_ptr<PageLink> link(new PageLink(store));
  Result<Mapping> spare = Mapping::anonymous(kPageSize);
  FALLOW_TRY(spare);
  link->spare_ = std::move(*spare);
  if (store.client_ == nullptr) {
    link->own_buffers_ = std::aligned_alloc(kPageSize, kBuffers * kPageSize);
    link->buffers_ = static_cast<std::byte*>(link->own_buffers_);
    return link->buffers_ != nullptr ? Result(std::move(link)) : failed("no memory for buffers");
  }
  const int error = fallow_queue_open(store.client_, kBuffers, &link->queue_);
  if (error != 0) {
    return store_error("cannot open a queue with the daemon", error);
  }
  link->buffers_ = static_cast<std::byte*>(fallow_alloc(store.client_, kBuffers * kPageSize));
  if (link->buffers_ == nullptr) {
    return store_error("cannot share memory with the daemon", -ENOMEM);
  }
  return link;
}

PageLink::~PageLink() {
  if (queue_ != nullptr) {
    fallow_queue_close(queue_);
  }
  if (own_buffers_ != nullptr) {
    std::free(own_buffers_);
  } else if (buffers_ != nullptr) {
    fallow_free(store_.client_, buffers_);
  }
}

// Waits for as long as it takes: whoever faulted waits too, and must not be told a lie.
int PageLink::reap(fallow_completion* completions, unsigned max) {
  for (bool told = false;;) {
    const int taken = fallow_wait(queue_, completions, max, -1);
    if (taken >= 0) {
      if (told) {
        log_info("pager_daemon_back");
      }
      return taken;
    }
    if (!told) {
      log_warning("pager_waits", {{"detail", fallow_error()}});
      told = true;
    }
    const timespec pause{0, 100'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

// submit(i) for each, and done(i, result) once each has ended.
template <typename Submit, typename Done>
void PageLink::run(std::size_t count, Submit submit, Done done) {
  fallow_completion completions[kBatch];
  std::size_t under_way = 0;
  const auto take = [&] {
    const int taken = reap(completions, kBatch);
    for (int i = 0; i < taken; ++i) {
      done(static_cast<std::size_t>(completions[i].user_data), completions[i].result);
    }
    under_way -= static_cast<std::size_t>(taken);
  };
  for (std::size_t i = 0; i < count;) {
    const int error = submit(i);
    if (error == -EAGAIN && under_way > 0) {
      take();
      continue;
    }
    if (error != 0) {
      done(i, error);
    } else {
      ++under_way;
    }
    ++i;
  }
  if (under_way > 0) {
    fallow_submit(queue_);
  }
  while (under_way > 0) {
    take();
  }
}

void PageLink::get(std::span<Transfer> transfers) {
  get(transfers, transfers.size(), [](std::size_t) {});
}

void PageLink::get(std::span<Transfer> transfers, std::size_t first,
                   const std::function<void(std::size_t end)>& ready) {
  std::size_t indexes[kBuffers];
  std::size_t count = 0;
  CHECK(transfers.size() <= kBuffers);
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    if (place_of(transfers[i].slot) == Place::kFallow) {
      indexes[count++] = i;
    }
  }
  // As long as it holds, those before `done` are the ones that are done. A queue's operations are
  // carried out in their order, but one that could not be submitted ends at once.
  bool in_order = count == transfers.size();
  std::size_t done = 0;
  std::size_t next = first;
  run(
      count,
      [&](std::size_t i) {
        const Transfer& one = transfers[indexes[i]];
        return fallow_submit_get(queue_, store_.pool_, 0, one.slot, one.page, i);
      },
      [&](std::size_t i, int result) {
        transfers[indexes[i]].error = result < 0 ? result : 0;
        in_order = in_order && i == done;
        if (++done >= next && done < count && in_order) {
          ready(done);
          next = done + kAtOnce;
        }
      });
  const auto read = [this](std::uint32_t from, std::span<const iovec> pages) {
    return store_.file_->read(from, pages);
  };
  store_.pages_read_ += move_file(transfers, store_.file_->bridge_most(), read);
  ready(transfers.size());
}

// Pages next to each other in the file are one request, whatever order they come in, and so are
// those with at most so many that nobody wants between them. Returns how many of the transfers were
// moved.
template <typename Move>
std::uint64_t PageLink::move_file(std::span<Transfer> transfers, std::size_t bridge_most,
                                  Move move) {
  std::array<Transfer*, kBuffers> sorted{};
  std::size_t count = 0;
  for (Transfer& one : transfers) {
    if (place_of(one.slot) == Place::kFile) {
      sorted[count++] = &one;
    }
  }
  std::sort(sorted.begin(), sorted.begin() + count,
            [](const Transfer* a, const Transfer* b) { return a->slot < b->slot; });
  std::uint64_t all = 0;
  for (std::size_t next = 0; next < count;) {
    FileRun run(spare_.data());
    const std::size_t first = next;
    while (next < count && run.add(*sorted[next], next, bridge_most)) {
      ++next;
    }
    const PageFile::Moved moved = move(number_of(sorted[first]->slot), run.pages());
    all += run.wanted(moved.pages);
    if (moved.error != 0) {
      // It is that page's; those behind it are another request.
      next = run.index(moved.pages);
      if (!run.bridges(moved.pages)) {
        sorted[next++]->error = moved.error;
      }
    }
  }
  return all;
}

void PageLink::put(std::span<Transfer> transfers) {
  CHECK(transfers.size() <= kBuffers && (transfers.empty() || queue_ != nullptr));
  run(
      transfers.size(),
      [&](std::size_t i) {
        const Transfer& one = transfers[i];
        return fallow_submit_put(queue_, store_.pool_, 0, one.slot, one.page, i);
      },
      [&](std::size_t i, int result) { transfers[i].error = result < 0 ? result : 0; });
}

void PageLink::write(std::span<Transfer> transfers) {
  CHECK(transfers.size() <= kBuffers);
  move_file(transfers, 0, [this](std::uint32_t first, std::span<const iovec> pages) {
    return store_.file_->write(first, pages);
  });
}

void PageLink::punch(std::span<const Slot> slots) {
  for (std::size_t i = 0; i < slots.size();) {
    std::size_t end = i + 1;
    while (end < slots.size() && slots[end] == slots[end - 1] + 1) {
      ++end;
    }
    store_.file_->punch(number_of(slots[i]), static_cast<std::uint32_t>(end - i));
    i = end;
  }
}

bool PageLink::get_statistics(fallow_statistics& statistics) {
  return queue_ != nullptr && fallow_get_statistics(queue_, &statistics) == 0;
}

void PageLink::flush(std::span<const Slot> slots) {
  if (queue_ != nullptr) {
    run(
        slots.size(),
        [&](std::size_t i) {
          return fallow_submit_flush_page(queue_, store_.pool_, 0, slots[i], i);
        },
        [](std::size_t, int) {});
  }
}

void PageLink::report(const fallow_memory_report& report) {
  if (queue_ != nullptr) {
    // A daemon that is away is told later.
    (void)fallow_report(queue_, &report);
  }
}

}  // namespace fallow::pager
