#include "pager/page_store.h"

#include <unistd.h>

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

}  // namespace

Result<std::unique_ptr<PageStore>> PageStore::open(const StoreOptions& options) {
  Result<PageFile> file =
      PageFile::open(options.backing_path, options.backing_bytes_max, options.resume);
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
    if (transfers[i].place == Place::kFallow) {
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
  for (Transfer& one : transfers) {
    if (one.place == Place::kFile) {
      one.error = store_.file_.read(one.slot, one.page);
    }
  }
  ready(transfers.size());
}

void PageLink::put(std::span<Transfer> transfers) {
  CHECK(transfers.size() <= kBuffers);
  for (Transfer& one : transfers) {
    one.place = Place::kNone;
  }
  if (queue_ != nullptr) {
    run(
        transfers.size(),
        [&](std::size_t i) {
          const Transfer& one = transfers[i];
          return fallow_submit_put(queue_, store_.pool_, 0, one.slot, one.page, i);
        },
        [&](std::size_t i, int result) {
          transfers[i].place = result >= 0 ? Place::kFallow : Place::kNone;
        });
  }
  for (Transfer& one : transfers) {
    if (one.place == Place::kNone) {
      one.error = store_.file_.write(one.slot, one.page);
      one.place = one.error == 0 ? Place::kFile : Place::kNone;
    }
  }
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
