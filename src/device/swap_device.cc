#include "device/swap_device.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
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

std::uint64_t page_of(std::uint64_t byte) {
  return byte >> kPageShift;
}
std::uint64_t round_up_to_page(std::uint64_t byte) {
  return (byte + kPageSize - 1) & ~std::uint64_t{kPageSize - 1};
}

bool changes_pages(Transfer::Kind kind) {
  return kind != Transfer::Kind::kRead && kind != Transfer::Kind::kSync;
}

}  // namespace

struct SwapDevice::AtomicStatistics {
  using Counter = std::atomic<std::uint64_t>;
  Counter memory_reads{0}, backing_reads{0}, hole_reads{0};
  Counter memory_writes{0}, backing_writes{0};
  Counter discards{0}, demotions{0};
  Counter backing_pages{0}, lost_pages{0}, io_errors{0};

  // relaxed: one writer, and readers want no more than the number.
  static void add(Counter& counter, std::uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }
};

// What one page has to do with a request.
struct SwapDevice::PageRange {
  std::uint64_t page;
  std::uint64_t request_at;  // where in the request it begins
  std::uint64_t page_at;     // where in the page
  std::uint64_t bytes;

  static PageRange at_cursor(const IoRequest& request) {
    const std::uint64_t byte = request.offset + request.cursor;
    const std::uint64_t page_at = byte % kPageSize;
    const std::uint64_t left = request.length - request.cursor;
    return {page_of(byte), request.cursor, page_at,
            std::min<std::uint64_t>(kPageSize - page_at, left)};
  }
  [[nodiscard]] bool whole() const { return bytes == kPageSize; }
};

Result<std::unique_ptr<SwapDevice>> SwapDevice::create(tmem::Store& store, ClientId client,
                                                       const Clock& clock,
                                                       std::unique_ptr<BackingStore> backing,
                                                       const DeviceOptions& options) {
  if (options.size_bytes == 0 || options.size_bytes % kPageSize != 0 ||
      options.size_bytes > kDeviceBytesMax) {
    return invalid("a device's size must be a multiple of 4 KiB, above zero and up to 16 TiB");
  }
  if (options.logical_block_size != kSectorSize && options.logical_block_size != kPageSize) {
    return invalid("a device's block size must be 512 or 4096");
  }
  const auto pool = store.create_pool(client, tmem::PoolKind::kPersistent);
  FALLOW_TRY(pool);
  return std::unique_ptr<SwapDevice>(
      new SwapDevice(store, client, *pool, clock, std::move(backing), options));
}

SwapDevice::SwapDevice(tmem::Store& store, ClientId client, PoolId pool, const Clock& clock,
                       std::unique_ptr<BackingStore> backing, const DeviceOptions& options)
    : store_(store),
      client_(client),
      pool_(pool),
      clock_(clock),
      backing_(std::move(backing)),
      options_(options),
      on_backing_(static_cast<std::uint64_t*>(
          std::calloc(page_of(options.size_bytes) / 64 + 1, sizeof(std::uint64_t)))),
      demotion_time_ns_(clock.now_ns()),
      counts_(std::make_unique<AtomicStatistics>()) {
  CHECK(on_backing_ != nullptr);
}

SwapDevice::~SwapDevice() {
  CHECK(requests_in_flight_ == 0);
  while (!transfers_.active().empty()) {
    backing_->wait();
  }
  // An error would mean that the client was removed, and its pools with it.
  [[maybe_unused]] const Status gone = store_.destroy_pool(pool_);
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
    part_done(request, IoStatus::kOk);
    return;
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
  if (!on_backing(range.page) && read_from_memory(request, range)) {
    AtomicStatistics::add(counts_->memory_reads);
    request->cursor += range.bytes;
    return true;
  }
  if (busy(range.page, 1)) {
    return false;
  }
  if (!lost_.empty() && lost_.contains(range.page)) {
    request->worst = IoStatus::kIoError;
    request->cursor += range.bytes;
    return true;
  }
  if (on_backing(range.page)) {
    return read_from_backing(request, range.page);
  }
  static constexpr PageBuffer kZeros{};
  scatter(request->segments, range.request_at, kZeros.bytes, range.bytes);
  AtomicStatistics::add(counts_->hole_reads);
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

// Reads this page and those behind it that are in the backing store too.
bool SwapDevice::read_from_backing(IoRequest* request, std::uint64_t page) {
  if (!transfers_.has_free()) {
    return false;
  }
  Transfer* transfer = start(Transfer::Kind::kRead, request, page);
  transfer->request_at = request->cursor;
  const std::uint64_t end = request->offset + request->length;
  const auto joins = [&](std::uint64_t next) {
    return next * kPageSize < end && on_backing(next) && !busy(next, 1);
  };
  do {
    ++transfer->page_count;
  } while (transfer->page_count < Transfer::kPagesMax && joins(page + transfer->page_count));
  AtomicStatistics::add(counts_->backing_reads, transfer->page_count);
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
  return transfers_.has_free() && !busy(first, count);
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
  clear_on_backing(page);
  set_lost(page, Lost::kNo);
  AtomicStatistics::add(counts_->memory_writes);
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
  AtomicStatistics::add(counts_->backing_writes);
}

void SwapDevice::finish_write(Transfer* transfer, int error) {
  unsynced_writes_ = true;
  for (std::uint64_t i = 0; i < transfer->page_count; ++i) {
    const std::uint64_t page = transfer->first_page + i;
    if (error == 0) {
      set_on_backing(page);
    } else {
      clear_on_backing(page);
    }
    set_lost(page, error == 0 ? Lost::kNo : Lost::kYes);
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
  if (store_.get(key_of(range.page), page.bytes) != tmem::GetResult::kFound) {
    if (!lost_.empty() && lost_.contains(range.page)) {
      request->worst = IoStatus::kIoError;  // the rest of the page is not known
      return true;
    }
    if (on_backing(range.page)) {
      Transfer* transfer = start(Transfer::Kind::kModify, request, range.page);
      transfer->request_at = range.request_at;
      transfer->page_count = 1;
      issue(transfer);
      return true;
    }
    std::memset(page.bytes, 0, kPageSize);
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
  AtomicStatistics::add(counts_->backing_writes);
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
  if (busy(first, count) || (punch == nullptr && !transfers_.has_free())) {
    return false;
  }
  bool in_backing = false;
  for (std::uint64_t page = first; page < first + count; ++page) {
    store_.flush_page(key_of(page));
    in_backing = clear_on_backing(page) || in_backing;
    set_lost(page, Lost::kNo);
  }
  AtomicStatistics::add(counts_->discards, count);
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
  for (const Transfer* transfer : transfers_.active()) {
    if (changes_pages(transfer->kind) && first < transfer->first_page + transfer->page_count &&
        transfer->first_page < first + count) {
      return true;
    }
  }
  return false;
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

void SwapDevice::finished(Transfer* transfer, int error) {
  if (error != 0 && transfer->kind != Transfer::Kind::kPunch) {
    note_error(*transfer, error);
  }
  switch (transfer->kind) {
    case Transfer::Kind::kRead:
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

void SwapDevice::set_demotion_rate(std::uint64_t pages_per_second) {
  options_.demotion_pages_per_second = pages_per_second;
}

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
    if (!room || demotion_allowance_ < 1 || busy(key.index, 1)) {
      continue;
    }
    if (transfer == nullptr) {
      issue_built();
      transfer = built_ = start(Transfer::Kind::kDemote, nullptr, key.index);
      ++demotions_under_way_;
    }
    std::byte* to = transfer->buffer + transfer->page_count * kPageSize;
    CHECK(store_.get(key, to) == tmem::GetResult::kFound);  // the pool is this thread's alone
    ++transfer->page_count;
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
    set_on_backing(transfer->first_page + i);
    CHECK(store_.drop_demoted(key_of(transfer->first_page + i)));
  }
  AtomicStatistics::add(counts_->demotions, transfer->page_count);
}

// Where pages are.

bool SwapDevice::on_backing(std::uint64_t page) const {
  return (on_backing_[page / 64] >> (page % 64) & 1) != 0;
}

void SwapDevice::set_on_backing(std::uint64_t page) {
  const std::uint64_t bit = std::uint64_t{1} << (page % 64);
  AtomicStatistics::add(counts_->backing_pages, (on_backing_[page / 64] & bit) == 0 ? 1 : 0);
  on_backing_[page / 64] |= bit;
}

bool SwapDevice::clear_on_backing(std::uint64_t page) {
  if (!on_backing(page)) {
    return false;
  }
  on_backing_[page / 64] &= ~(std::uint64_t{1} << (page % 64));
  counts_->backing_pages.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void SwapDevice::set_lost(std::uint64_t page, Lost lost) {
  if (lost == Lost::kYes) {
    lost_.insert(page);
  } else if (!lost_.empty()) {
    lost_.erase(page);
  } else {
    return;  // the usual case
  }
  counts_->lost_pages.store(lost_.size(), std::memory_order_relaxed);
}

DeviceStatistics SwapDevice::statistics() const {
  const auto read = [](const AtomicStatistics::Counter& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  DeviceStatistics result;
  result.memory_reads = read(counts_->memory_reads);
  result.backing_reads = read(counts_->backing_reads);
  result.hole_reads = read(counts_->hole_reads);
  result.memory_writes = read(counts_->memory_writes);
  result.backing_writes = read(counts_->backing_writes);
  result.discards = read(counts_->discards);
  result.demotions = read(counts_->demotions);
  result.backing_pages = read(counts_->backing_pages);
  result.lost_pages = read(counts_->lost_pages);
  result.io_errors = read(counts_->io_errors);
  return result;
}

}  // namespace fallow
