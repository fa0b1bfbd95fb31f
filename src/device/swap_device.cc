#include "device/swap_device.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "device/device_counters.h"
#include "device/page_range.h"
#include "device/segments.h"

namespace fallow {

using tmem::PageKey;

namespace {

constexpr std::uint64_t kDiscardStepPages = 1024;  // dealt with before the next look at transfers
constexpr std::uint64_t kDemotionBatchPages = 256;
constexpr unsigned kDemotionTransfersMax =
    TransferPool::kTransfers / 2;                          // the guest keeps the rest
constexpr std::uint64_t kDemotionPauseNs = 1'000'000'000;  // after an error of the backing store

struct alignas(kPageSize) PageBuffer {
  std::byte bytes[kPageSize];
};

std::uint64_t round_up_to_page(std::uint64_t byte) {
  return (byte + kPageSize - 1) & ~std::uint64_t{kPageSize - 1};
}

bool changes_pages(Transfer::Kind kind) {
  return kind != Transfer::Kind::kRead && kind != Transfer::Kind::kSync;
}

Status check_size(std::uint64_t bytes) {
  if (bytes == 0 || bytes % kPageSize != 0 || bytes > kDeviceBytesMax) {
    return invalid("a device's size must be a multiple of 4 KiB, above zero and up to 16 TiB");
  }
  return {};
}

Status check_options(const DeviceOptions& options) {
  FALLOW_TRY(check_size(options.size_bytes));
  if (options.logical_block_size != kSectorSize && options.logical_block_size != kPageSize) {
    return invalid("a device's block size must be 512 or 4096");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SwapDevice>> SwapDevice::create(tmem::Store& store, ClientId client,
                                                       const Clock& clock,
                                                       std::unique_ptr<BackingStore> backing,
                                                       const DeviceOptions& options) {
  FALLOW_TRY(check_options(options));
  const auto pool = store.create_pool(client, tmem::PoolKind::kPersistent);
  FALLOW_TRY(pool);
  const std::uint64_t pages = page_of(options.size_bytes);
  auto map = options.map_path.empty()
                 ? LocationMap::temporary(pages)
                 : LocationMap::create(options.map_path, pages, *pool, options.description);
  if (!map) {
    [[maybe_unused]] const Status gone = store.destroy_pool(*pool);
    return map.error();
  }
  return std::unique_ptr<SwapDevice>(
      new SwapDevice(store, client, *pool, clock, std::move(backing), options, std::move(*map)));
}

Result<std::unique_ptr<SwapDevice>> SwapDevice::recover(tmem::Store& store, ClientId client,
                                                        const Clock& clock,
                                                        std::unique_ptr<BackingStore> backing,
                                                        const DeviceOptions& options,
                                                        LocationMap map) {
  FALLOW_TRY(check_options(options));
  if (page_of(options.size_bytes) != map.pages() || !store.owns_pool(client, map.pool())) {
    return failed("the map '" + options.map_path + "' belongs to another device");
  }
  const PoolId pool = map.pool();
  std::unique_ptr<SwapDevice> device(
      new SwapDevice(store, client, pool, clock, std::move(backing), options, std::move(map)));
  device->reconcile();
  return device;
}

SwapDevice::SwapDevice(tmem::Store& store, ClientId client, PoolId pool, const Clock& clock,
                       std::unique_ptr<BackingStore> backing, const DeviceOptions& options,
                       LocationMap map)
    : store_(store),
      client_(client),
      pool_(pool),
      clock_(clock),
      backing_(std::move(backing)),
      options_(options),
      map_(std::move(map)),
      demotion_time_ns_(clock.now_ns()),
      counts_(std::make_unique<DeviceCounters>()) {}

SwapDevice::~SwapDevice() {
  CHECK(requests_in_flight_ == 0);
  while (!transfers_.active().empty()) {
    backing_->wait();
  }
  if (kept_) {
    return;
  }
  if (!options_.map_path.empty()) {
    ::unlink(options_.map_path.c_str());
  }
  // An error would mean that the client was removed, and its pools with it.
  [[maybe_unused]] const Status gone = store_.destroy_pool(pool_);
}

// What the pool has is in memory: where the map says otherwise, the process was killed between the
// one and the other. What it lost is marked, and leaves it.
void SwapDevice::reconcile() {
  std::vector<bool> held(map_.pages());
  std::vector<PageKey> lost;
  store_.visit_pages(pool_, [&](const PageKey& key, tmem::PageCondition condition) {
    const bool whole = condition == tmem::PageCondition::kWhole && key.index < map_.pages();
    if (whole) {
      held[key.index] = true;
    } else {
      lost.push_back(key);
    }
  });
  for (const PageKey& key : lost) {
    if (key.index < map_.pages()) {
      map_.set(key.index, PageLocation::kLost);
    }
    store_.flush_page(key);
  }
  std::uint64_t backing_pages = 0;
  std::uint64_t lost_pages = 0;
  for (std::uint64_t page = 0; page < map_.pages(); ++page) {
    const PageLocation at = location(page);
    if (held[page] && at != PageLocation::kMemory) {
      map_.set(page, PageLocation::kMemory);
    } else if (!held[page] && at == PageLocation::kMemory) {
      map_.set(page, PageLocation::kLost);
    }
    backing_pages += location(page) == PageLocation::kBacking ? 1 : 0;
    lost_pages += location(page) == PageLocation::kLost ? 1 : 0;
  }
  counts_->backing_pages.store(backing_pages, std::memory_order_relaxed);
  counts_->lost_pages.store(lost_pages, std::memory_order_relaxed);
  unsynced_writes_ = true;
}

bool SwapDevice::empty() const {
  for (std::uint64_t page = 0; page < map_.pages(); page += LocationMap::kPagesPerWord) {
    if (!map_.all_at(page, PageLocation::kHole)) {
      return false;
    }
  }
  return true;
}

Status SwapDevice::grow(std::uint64_t size_bytes, const std::string& description) {
  FALLOW_TRY(check_size(size_bytes));
  if (size_bytes < options_.size_bytes) {
    return invalid("a device can only grow: a guest may be using what lies beyond the new end");
  }
  FALLOW_TRY(backing_->grow(size_bytes));
  const std::uint64_t pages = page_of(size_bytes);
  auto map = options_.map_path.empty() ? map_.grown_temporary(pages)
                                       : map_.grown(options_.map_path, pages, description);
  FALLOW_TRY(map);
  map_ = std::move(*map);
  options_.size_bytes = size_bytes;
  options_.description = description;
  return {};
}

SwapDevice::Extent SwapDevice::extent(std::uint64_t offset, std::uint64_t limit) const {
  constexpr std::uint64_t kStepsMax = 1u << 16;
  const std::uint64_t first = page_of(offset);
  const std::uint64_t end = page_of(offset + limit);
  const bool hole = location(first) == PageLocation::kHole;
  std::uint64_t page = first;
  for (std::uint64_t step = 0; step < kStepsMax && page < end; ++step) {
    const bool word_of_holes =
        page % LocationMap::kPagesPerWord == 0 && map_.all_at(page, PageLocation::kHole);
    if (hole && word_of_holes) {
      page += LocationMap::kPagesPerWord;
    } else if ((location(page) == PageLocation::kHole) == hole) {
      ++page;
    } else {
      break;
    }
  }
  return {(std::min(page, end) - first) * kPageSize, hole};
}

// Requests.

void SwapDevice::submit(IoRequest* request) {
  ++requests_in_flight_;
  request->cursor = 0;
  request->parts_pending = 1;
  request->worst = IoStatus::kOk;
  request->next_waiting = nullptr;
  advance(request);
}

void SwapDevice::poll() {
  const bool was_demoting = demotions_under_way_ > 0;
  backing_->poll();
  resume_waiting();
  if (was_demoting) {
    demote();  // room for the next ones, without waiting for the timer
  }
}

void SwapDevice::resume_waiting() {
  IoRequest* request = std::exchange(waiting_head_, nullptr);
  waiting_tail_ = nullptr;
  while (request != nullptr) {
    IoRequest* next = std::exchange(request->next_waiting, nullptr);
    advance(request);
    request = next;
  }
}

// Goes on with a request until it is through or must wait.
void SwapDevice::advance(IoRequest* request) {
  bool through = true;
  if (request->op == IoOp::kFlush) {
    through = step_flush(request);
  }
  while (through && request->cursor < request->length) {
    through = step(request);
  }
  issue_built();
  if (through) {
    if (first_change_waiting_ == request) {
      first_change_waiting_ = nullptr;
    }
    part_done(request, IoStatus::kOk);
    return;
  }
  if (first_change_waiting_ == nullptr && request->op != IoOp::kRead &&
      request->op != IoOp::kFlush) {
    first_change_waiting_ = request;
  }
  (waiting_head_ == nullptr ? waiting_head_ : waiting_tail_->next_waiting) = request;
  waiting_tail_ = request;
}

void SwapDevice::part_done(IoRequest* request, IoStatus status) {
  request->worst = std::max(request->worst, status);
  if (--request->parts_pending == 0) {
    --requests_in_flight_;
    request->done(request, request->worst);
  }
}

bool SwapDevice::step(IoRequest* request) {
  switch (request->op) {
    case IoOp::kRead:
      return step_read(request);
    case IoOp::kWrite:
      return step_write(request);
    case IoOp::kWriteZeroes:
      return step_write_zeroes(request);
    case IoOp::kDiscard:
      return step_discard(request);
    case IoOp::kFlush:
      break;
  }
  request->cursor = request->length;
  return true;
}

bool SwapDevice::step_flush(IoRequest* request) {
  request->length = 0;
  if (!unsynced_writes_) {
    return true;
  }
  if (!transfers_.has_free()) {
    return false;
  }
  unsynced_writes_ = false;
  issue(start(Transfer::Kind::kSync, request, 0));
  return true;
}

// Reading.

bool SwapDevice::step_read(IoRequest* request) {
  const PageRange range = PageRange::at_cursor(*request);
  if (location(range.page) == PageLocation::kMemory && read_from_memory(request, range)) {
    DeviceCounters::add(counts_->memory_reads);
    request->cursor += range.bytes;
    return true;
  }
  if (busy(range.page, 1)) {
    return false;
  }
  switch (location(range.page)) {
    case PageLocation::kBacking:
      return read_from_backing(request, range.page);
    case PageLocation::kHole: {
      static constexpr PageBuffer kZeros{};
      scatter(request->segments, range.request_at, kZeros.bytes, range.bytes);
      DeviceCounters::add(counts_->hole_reads);
      break;
    }
    case PageLocation::kMemory:  // the pool should have it
    case PageLocation::kLost:
      request->worst = IoStatus::kIoError;
      break;
  }
  request->cursor += range.bytes;
  return true;
}

bool SwapDevice::read_from_memory(IoRequest* request, const PageRange& range) {
  if (range.whole()) {
    if (std::byte* to = contiguous(request->segments, range.request_at, kPageSize)) {
      return store_.get(key_of(range.page), to) == tmem::GetResult::kFound;
    }
  }
  PageBuffer page;
  if (store_.get(key_of(range.page), page.bytes) != tmem::GetResult::kFound) {
    return false;
  }
  scatter(request->segments, range.request_at, page.bytes + range.page_at, range.bytes);
  return true;
}

// Reads that kept coming would hold up a change of their pages for ever.
bool SwapDevice::wanted_for_change(std::uint64_t page) const {
  const IoRequest* change = first_change_waiting_;
  return change != nullptr && page >= page_of(change->offset + change->cursor) &&
         page * kPageSize < change->offset + change->length;
}

// Reads this page and those behind it that are in the backing store too.
bool SwapDevice::read_from_backing(IoRequest* request, std::uint64_t page) {
  if (!transfers_.has_free() || wanted_for_change(page)) {
    return false;
  }
  Transfer* transfer = start(Transfer::Kind::kRead, request, page);
  transfer->request_at = request->cursor;
  const std::uint64_t end = request->offset + request->length;
  const auto joins = [&](std::uint64_t next) {
    return next * kPageSize < end && location(next) == PageLocation::kBacking && !busy(next, 1) &&
           !wanted_for_change(next);
  };
  do {
    ++transfer->page_count;
  } while (transfer->page_count < Transfer::kPagesMax && joins(page + transfer->page_count));
  DeviceCounters::add(counts_->backing_reads, transfer->page_count);
  if (reads_under_way_++ == 0) {
    wait_counted_ns_ = clock_.now_ns();
  }
  for (std::uint64_t i = 0; i < transfer->page_count; ++i) {
    store_.record(recording::Kind::kRead, key_of(page + i), recording::Outcome::kDone);
  }
  request->cursor = std::min((page + transfer->page_count) * kPageSize, end) - request->offset;
  issue(transfer);
  return true;
}

void SwapDevice::finish_read(Transfer* transfer) {
  IoRequest& request = *transfer->request;
  const std::uint64_t begin = request.offset + transfer->request_at;
  const std::uint64_t end = std::min((transfer->first_page + transfer->page_count) * kPageSize,
                                     request.offset + request.length);
  scatter(request.segments, transfer->request_at,
          transfer->buffer + (begin - transfer->first_page * kPageSize), end - begin);
}

// Writing.

// A write is begun only with a transfer in hand: should memory refuse the page, its old version is
// gone at once, and the new one must be on its way before anyone can ask.
bool SwapDevice::may_change(std::uint64_t first, std::uint64_t count) const {
  return transfers_.has_free() && !busy_or_read(first, count);
}

bool SwapDevice::step_write(IoRequest* request) {
  const PageRange range = PageRange::at_cursor(*request);
  if (!may_change(range.page, 1)) {
    return false;
  }
  if (!range.whole()) {
    return change_part(request, range);
  }
  PageBuffer gathered;
  const std::byte* content = contiguous(request->segments, range.request_at, kPageSize);
  if (content == nullptr) {
    gather(request->segments, range.request_at, gathered.bytes, kPageSize);
    content = gathered.bytes;
  }
  store_page(request, range.page, content);
  request->cursor += range.bytes;
  return true;
}

// Memory when it takes the page, else the backing store.
void SwapDevice::store_page(IoRequest* request, std::uint64_t page, const std::byte* content) {
  if (!put(page, content)) {
    write_to_backing(request, page, content);
  }
}

bool SwapDevice::put(std::uint64_t page, const std::byte* content) {
  if (store_.put(key_of(page), content) != tmem::PutResult::kStored) {
    return false;
  }
  set_location(page, PageLocation::kMemory);
  DeviceCounters::add(counts_->memory_writes);
  return true;
}

void SwapDevice::write_to_backing(IoRequest* request, std::uint64_t page,
                                  const std::byte* content) {
  Transfer* transfer = extendable(Transfer::Kind::kWrite, request, page);
  if (transfer == nullptr) {
    issue_built();
    transfer = built_ = start(Transfer::Kind::kWrite, request, page);
  }
  std::memcpy(transfer->buffer + transfer->page_count * kPageSize, content, kPageSize);
  ++transfer->page_count;
  DeviceCounters::add(counts_->backing_writes);
}

void SwapDevice::finish_write(Transfer* transfer, int error) {
  unsynced_writes_ = true;
  const PageLocation now = error == 0 ? PageLocation::kBacking : PageLocation::kLost;
  for (std::uint64_t i = 0; i < transfer->page_count; ++i) {
    set_location(transfer->first_page + i, now);
  }
}

namespace {

// The request's bytes for a part of a page: its data, or zeros.
void merge(const IoRequest& request, std::uint64_t request_at, std::byte* to, std::uint64_t bytes) {
  if (request.op == IoOp::kWriteZeroes) {
    std::memset(to, 0, bytes);
  } else {
    gather(request.segments, request_at, to, bytes);
  }
}

}  // namespace

// Read, modify, write. The caller has checked may_change().
bool SwapDevice::change_part(IoRequest* request, const PageRange& range) {
  request->cursor += range.bytes;
  PageBuffer page;
  switch (location(range.page)) {
    case PageLocation::kBacking: {
      Transfer* transfer = start(Transfer::Kind::kModify, request, range.page);
      transfer->request_at = range.request_at;
      transfer->page_count = 1;
      issue(transfer);
      return true;
    }
    case PageLocation::kHole:
      std::memset(page.bytes, 0, kPageSize);
      break;
    case PageLocation::kMemory:
      if (store_.get(key_of(range.page), page.bytes) == tmem::GetResult::kFound) {
        break;
      }
      [[fallthrough]];
    case PageLocation::kLost:
      request->worst = IoStatus::kIoError;  // the rest of the page is not known
      return true;
  }
  merge(*request, range.request_at, page.bytes + range.page_at, range.bytes);
  store_page(request, range.page, page.bytes);
  return true;
}

// The page's old content has come: change it and store it. The transfer goes on as a write when
// memory refuses.
void SwapDevice::finish_modify(Transfer* transfer) {
  IoRequest* request = transfer->request;
  const std::uint64_t byte = request->offset + transfer->request_at;
  const std::uint64_t page_at = byte % kPageSize;
  const std::uint64_t bytes =
      std::min<std::uint64_t>(kPageSize - page_at, request->length - transfer->request_at);
  merge(*request, transfer->request_at, transfer->buffer + page_at, bytes);
  if (put(transfer->first_page, transfer->buffer)) {
    transfers_.give_back(transfer);
    part_done(request, IoStatus::kOk);
    return;
  }
  DeviceCounters::add(counts_->backing_writes);
  transfer->kind = Transfer::Kind::kWrite;
  issue(transfer);
}

// Discarding.

// The whole pages go; a discard of a part of a page may be ignored, and is.
bool SwapDevice::step_discard(IoRequest* request) {
  const std::uint64_t begin = request->offset + request->cursor;
  const std::uint64_t first = page_of(round_up_to_page(begin));
  const std::uint64_t end = page_of(request->offset + request->length);
  if (first < end && !discard_whole_pages(request, first, end)) {
    return false;
  }
  const std::uint64_t done = std::min(first + kDiscardStepPages, end);
  request->cursor =
      first < end && done < end ? done * kPageSize - request->offset : request->length;
  return true;
}

bool SwapDevice::step_write_zeroes(IoRequest* request) {
  const PageRange range = PageRange::at_cursor(*request);
  if (!range.whole()) {
    return may_change(range.page, 1) && change_part(request, range);
  }
  const std::uint64_t end = page_of(request->offset + request->length);
  if (!discard_whole_pages(request, range.page, end)) {
    return false;
  }
  request->cursor = std::min(range.page + kDiscardStepPages, end) * kPageSize - request->offset;
  return true;
}

// Up to kDiscardStepPages of them: holes from now on.
bool SwapDevice::discard_whole_pages(IoRequest* request, std::uint64_t first, std::uint64_t end) {
  const std::uint64_t count = std::min(kDiscardStepPages, end - first);
  Transfer* punch = extendable(Transfer::Kind::kPunch, request, first);
  if (busy_or_read(first, count) || (punch == nullptr && !transfers_.has_free())) {
    return false;
  }
  bool in_backing = false;
  for (std::uint64_t page = first; page < first + count; ++page) {
    const PageLocation before = location(page);
    set_location(page, PageLocation::kHole);
    if (before == PageLocation::kMemory) {
      store_.flush_page(key_of(page));
    }
    if (before == PageLocation::kBacking) {
      in_backing = true;
      store_.record(recording::Kind::kFlush, key_of(page), recording::Outcome::kDone);
    }
  }
  DeviceCounters::add(counts_->discards, count);
  if (in_backing && punch == nullptr) {
    issue_built();
    punch = built_ = start(Transfer::Kind::kPunch, request, first);
  }
  if (in_backing) {
    punch->page_count += count;
  }
  return true;
}

// Transfers.

bool SwapDevice::busy(std::uint64_t first, std::uint64_t count) const {
  const auto& all = transfers_.active();
  return std::any_of(all.begin(), all.end(), [=](const Transfer* transfer) {
    return changes_pages(transfer->kind) && transfer->covers(first, count);
  });
}

bool SwapDevice::busy_or_read(std::uint64_t first, std::uint64_t count) const {
  const auto& all = transfers_.active();
  return std::any_of(all.begin(), all.end(),
                     [=](const Transfer* transfer) { return transfer->covers(first, count); });
}

Transfer* SwapDevice::start(Transfer::Kind kind, IoRequest* request, std::uint64_t first_page) {
  Transfer* transfer = transfers_.take();
  CHECK(transfer != nullptr);
  transfer->kind = kind;
  transfer->request = request;
  transfer->request_at = 0;
  transfer->first_page = first_page;
  transfer->page_count = 0;
  transfer->owner = this;
  if (request != nullptr) {
    ++request->parts_pending;
  }
  return transfer;
}

// The transfer being built, when a page of the same request and kind can join at its end.
Transfer* SwapDevice::extendable(Transfer::Kind kind, const IoRequest* request,
                                 std::uint64_t page) const {
  const bool fits = built_ != nullptr && built_->kind == kind && built_->request == request &&
                    built_->first_page + built_->page_count == page &&
                    (kind == Transfer::Kind::kPunch || built_->page_count < Transfer::kPagesMax);
  return fits ? built_ : nullptr;
}

void SwapDevice::issue_built() {
  if (built_ != nullptr) {
    issue(std::exchange(built_, nullptr));
  }
}

void SwapDevice::issue(Transfer* transfer) {
  static constexpr auto kind_of = [](Transfer::Kind kind) {
    switch (kind) {
      case Transfer::Kind::kRead:
      case Transfer::Kind::kModify:
        return BackingIo::Kind::kRead;
      case Transfer::Kind::kWrite:
      case Transfer::Kind::kDemote:
        return BackingIo::Kind::kWrite;
      case Transfer::Kind::kPunch:
        return BackingIo::Kind::kPunch;
      case Transfer::Kind::kSync:
        break;
    }
    return BackingIo::Kind::kSync;
  };
  transfer->io.kind = kind_of(transfer->kind);
  transfer->io.offset = transfer->first_page * kPageSize;
  transfer->io.length = transfer->page_count * kPageSize;
  transfer->io.buffer = transfer->buffer;
  transfer->io.done = [](BackingIo* io, int error) {
    auto* done = reinterpret_cast<Transfer*>(io);  // its first member
    static_cast<SwapDevice*>(done->owner)->finished(done, error);
  };
  backing_->submit(&transfer->io);
}

// Up to now, so that it is known however long reads follow each other without a pause.
void SwapDevice::count_wait() {
  const std::uint64_t now_ns = clock_.now_ns();
  DeviceCounters::add(counts_->backing_wait_ns, now_ns - wait_counted_ns_);
  wait_counted_ns_ = now_ns;
}

void SwapDevice::finished(Transfer* transfer, int error) {
  if (error != 0 && transfer->kind != Transfer::Kind::kPunch) {
    note_error(*transfer, error);
  }
  switch (transfer->kind) {
    case Transfer::Kind::kRead:
      --reads_under_way_;
      count_wait();
      if (error == 0) {
        finish_read(transfer);
      }
      break;
    case Transfer::Kind::kModify:
      if (error == 0) {
        finish_modify(transfer);
        return;
      }
      break;
    case Transfer::Kind::kWrite:
      finish_write(transfer, error);
      break;
    case Transfer::Kind::kDemote:
      finish_demotion(transfer, error);
      break;
    case Transfer::Kind::kPunch:
      error = 0;  // only space is lost: a page whose bit is clear is never read
      break;
    case Transfer::Kind::kSync:
      unsynced_writes_ = unsynced_writes_ || error != 0;
      break;
  }
  IoRequest* request = transfer->request;
  transfers_.give_back(transfer);
  if (request != nullptr) {
    part_done(request, error == 0 ? IoStatus::kOk : IoStatus::kIoError);
  }
}

// The first error is logged, then every doubling: a broken disk must not fill another one with
// logs.
void SwapDevice::note_error(const Transfer& transfer, int error) {
  const std::uint64_t count = counts_->io_errors.fetch_add(1, std::memory_order_relaxed) + 1;
  if (std::has_single_bit(count)) {
    log_error("backing-store-error", {{"client", client_.value},
                                      {"page", transfer.first_page},
                                      {"error", std::strerror(error)},
                                      {"errors", count}});
  }
}

// Demotion.

void SwapDevice::demote() {
  const std::uint64_t now = clock_.now_ns();
  const double elapsed_s = static_cast<double>(now - demotion_time_ns_) / 1e9;
  demotion_time_ns_ = now;
  const auto rate = static_cast<double>(options_.demotion_pages_per_second);
  // No more than a tenth of a second's worth is saved up, so that a pause is not followed by a
  // burst.
  const double cap = std::max(rate / 10, 1.0);
  demotion_allowance_ = std::min(demotion_allowance_ + rate * elapsed_s, cap);
  const tmem::Store::Allowance held = store_.allowance(client_);
  const std::uint64_t staying = held.used - std::min(held.used, pages_being_demoted_);
  if (rate == 0 || staying <= held.target || now < demotion_pause_until_ns_) {
    return;
  }
  const std::uint64_t wanted =
      std::min(staying - held.target, static_cast<std::uint64_t>(demotion_allowance_));
  // Those under way are still in the pool, and still the oldest.
  std::array<PageKey, kDemotionBatchPages> keys;
  const std::uint64_t asked = std::min(wanted + pages_being_demoted_, kDemotionBatchPages);
  if (wanted > 0) {
    demote_pages(std::span(keys).first(store_.oldest(pool_, std::span(keys).first(asked))));
  }
}

void SwapDevice::demote_pages(std::span<PageKey> keys) {
  std::sort(keys.begin(), keys.end());  // neighbours travel together
  for (const PageKey& key : keys) {
    Transfer* transfer = extendable(Transfer::Kind::kDemote, nullptr, key.index);
    const bool room = transfer != nullptr ||
                      (transfers_.has_free() && demotions_under_way_ < kDemotionTransfersMax);
    if (!room || demotion_allowance_ < 1 || busy_or_read(key.index, 1)) {
      continue;
    }
    alignas(64) std::byte page[kPageSize];
    if (store_.get(key, page) != tmem::GetResult::kFound) {  // its slot has been damaged
      set_location(key.index, PageLocation::kLost);
      store_.flush_page(key);
      continue;
    }
    if (transfer == nullptr) {
      issue_built();
      transfer = built_ = start(Transfer::Kind::kDemote, nullptr, key.index);
      ++demotions_under_way_;
    }
    std::memcpy(transfer->buffer + transfer->page_count++ * kPageSize, page, kPageSize);
    ++pages_being_demoted_;
    demotion_allowance_ -= 1;
  }
  issue_built();
}

void SwapDevice::finish_demotion(Transfer* transfer, int error) {
  --demotions_under_way_;
  pages_being_demoted_ -= transfer->page_count;
  if (error != 0) {
    demotion_pause_until_ns_ = clock_.now_ns() + kDemotionPauseNs;  // the pages stay in memory
    return;
  }
  unsynced_writes_ = true;
  for (std::uint64_t i = 0; i < transfer->page_count; ++i) {
    set_location(transfer->first_page + i, PageLocation::kBacking);
    CHECK(store_.drop_demoted(key_of(transfer->first_page + i)));
  }
  DeviceCounters::add(counts_->demotions, transfer->page_count);
}

void SwapDevice::set_location(std::uint64_t page, PageLocation now) {
  const PageLocation before = location(page);
  if (before == now) {
    return;
  }
  map_.set(page, now);
  const auto change = [&](PageLocation counted, DeviceCounters::Counter& counter) {
    if (before == counted) {
      counter.fetch_sub(1, std::memory_order_relaxed);
    } else if (now == counted) {
      DeviceCounters::add(counter);
    }
  };
  change(PageLocation::kBacking, counts_->backing_pages);
  change(PageLocation::kLost, counts_->lost_pages);
}

DeviceStatistics SwapDevice::statistics() const {
  return counts_->read();
}

}  // namespace fallow
