// Where pages go that are taken out of RAM: to the daemon, and what it refuses to the backing file.
// One PageLink for each of the pager's threads: a queue of its own, and buffers that the daemon
// knows, so that pages are copied once on their way.
#pragma once

#include <fallow/fallow.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "pager/page_file.h"
#include "pager/slots.h"

namespace fallow::pager {

struct StoreOptions {
  std::string socket;         // of the daemon's ring server; empty: the library's default
  std::string name;           // of the client, as the daemon lists it
  bool daemon = true;         // false: everything goes to the backing file
  unsigned keep_seconds = 0;  // how long the daemon keeps the pages when this process dies
  // Of a process before this one, whose pages may wait with the daemon. Zeros: there was none.
  fallow_secret secret{};
  // Those pages, and what the backing file has, are gone on with. Else they are dropped.
  bool resume = false;
  std::string backing_path;  // as PageFileOptions has it
  std::uint64_t backing_bytes_max = 0;
  DiskSpeed backing_speed{};
};

class PageStore {
 public:
  // `clock` outlives it.
  static Result<std::unique_ptr<PageStore>> open(const StoreOptions& options, const Clock& clock);
  ~PageStore();
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  [[nodiscard]] fallow_client* client() const { return client_; }
  // Whether the pages stay where they are for who comes next, when this is destroyed.
  void leave(bool leaves) { leaves_ = leaves; }
  [[nodiscard]] const PageFile& file() const { return *file_; }
  // Of the file, as somebody wanted them.
  [[nodiscard]] std::uint64_t pages_read() const { return pages_read_.load(); }

 private:
  friend class PageLink;
  explicit PageStore(std::unique_ptr<PageFile> file) : file_(std::move(file)) {}

  const std::unique_ptr<PageFile> file_;
  fallow_client* client_ = nullptr;  // nullptr: no daemon
  std::atomic<std::uint64_t> pages_read_{0};
  bool leaves_ = false;
  fallow_pool pool_ = 0;
};

struct Transfer {
  Slot slot = kNoSlot;
  std::byte* page = nullptr;  // a buffer of the link
  int error = 0;              // negative errno: this page could not be moved
};

// One thread at a time.
class PageLink {
 public:
  static constexpr std::size_t kBuffers = 256;

  static Result<std::unique_ptr<PageLink>> open(PageStore& store);
  ~PageLink();
  PageLink(const PageLink&) = delete;
  PageLink& operator=(const PageLink&) = delete;

  // kBuffers pages, next to each other.
  [[nodiscard]] std::byte* buffers() const { return buffers_; }

  // All at once; each takes as long as it takes, a daemon that is away is waited for. At most
  // kBuffers. Of the file, pages next to each other are one request.
  void get(std::span<Transfer> transfers);
  // The same. `ready(end)` is called, with rising numbers, when the transfers before `end` are
  // done: once `first` are there, then when some more are, and at last when all are.
  void get(std::span<Transfer> transfers, std::size_t first,
           const std::function<void(std::size_t end)>& ready);
  // To the daemon, into slots there: a page that it refuses is told by its error.
  void put(std::span<Transfer> transfers);
  // To the file, into slots there.
  void write(std::span<Transfer> transfers);
  void flush(std::span<const Slot> slots);
  // These are in the file, and their pages are not needed any more. Rising.
  void punch(std::span<const Slot> slots);
  // What the daemon has of this client's. False: it does not say.
  bool get_statistics(fallow_statistics& statistics);
  // What the daemon's operator is shown.
  void report(const fallow_memory_report& report);

  fallow_queue* queue() { return queue_; }

 private:
  explicit PageLink(PageStore& store) : store_(store) {}
  template <typename Submit, typename Done>
  void run(std::size_t count, Submit submit, Done done);
  int reap(fallow_completion* completions, unsigned max);
  template <typename Move>
  std::uint64_t move_file(std::span<Transfer> transfers, std::size_t bridge_most, Move move);

  PageStore& store_;
  fallow_queue* queue_ = nullptr;
  std::byte* buffers_ = nullptr;
  void* own_buffers_ = nullptr;  // where there is no daemon
  Mapping spare_;                // a page for what nobody wants to read
};

}  // namespace fallow::pager
