// A block device of pages: a persistent pool plus a backing store. Every page is in one place: it
// is a hole (reads as zeros), in memory, or in the backing store.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "device/backing_store.h"
#include "device/block_device.h"
#include "device/location_map.h"
#include "device/transfer.h"
#include "tmem/store.h"

namespace fallow {

struct DeviceCounters;
struct PageRange;

inline constexpr std::uint64_t kDeviceBytesMax = std::uint64_t{1}
                                                 << 44;  // page numbers fit 32 bits

struct DeviceOptions {
  std::uint64_t size_bytes = 0;             // a multiple of kPageSize, up to kDeviceBytesMax
  std::uint32_t logical_block_size = 4096;  // or 512
  // Pages a second that may move out of memory while the client is over its target. 0: none, which
  // is the document's behaviour (004, §2.2.2: over-target pages leave when their VM frees them).
  std::uint64_t demotion_pages_per_second = 0;
  // Where the device's map comes (location_map.h) and what it says of the device; empty: the device
  // does not outlive its process.
  std::string map_path{};
  std::string description{};
};

struct DeviceStatistics {
  std::uint64_t memory_reads = 0;  // pages, as all of these
  std::uint64_t backing_reads = 0;
  std::uint64_t hole_reads = 0;
  std::uint64_t memory_writes = 0;
  std::uint64_t backing_writes = 0;
  std::uint64_t discards = 0;
  std::uint64_t demotions = 0;
  std::uint64_t backing_pages = 0;  // in the backing store now
  std::uint64_t lost_pages = 0;     // a write of them failed: they answer with an error
  std::uint64_t io_errors = 0;      // operations of the backing store that failed
  // Nanoseconds in which at least one read of the backing store was under way.
  std::uint64_t backing_wait_ns = 0;
};

// Thread rule: as BlockDevice, one owner at a time; statistics() from any thread. The pool is the
// device's own: nobody else puts, gets or flushes in it.
//
// Invariants, between two calls:
//   1. The map says where each page is. The pool has the pages that are at kMemory and no others,
//      but for moments within one call and for a page whose write is on its way to the backing
//      store.
//   2. A page that a transfer of kind write, demote, modify or punch covers is busy: no other
//      request changes it, and only a demotion's page is read meanwhile (from memory). One that a
//      transfer reads is changed by nobody until it is read, so that no reader sees half a page.
//   3. A page whose backing write failed is at kLost until it is written or discarded as a whole:
//      it reads as an error, never as an older version.
// When the process is killed, a page that the pool has is in memory, whatever the map says; one
// that it should have and has not is lost. So the map follows the pool when a page comes into
// memory, and goes ahead of it when a page leaves.
class SwapDevice final : public BlockDevice {
 public:
  // `store` and `clock` must outlive the device. Makes a pool for `client`; errors: kInvalid for
  // bad options, or what the store says.
  static Result<std::unique_ptr<SwapDevice>> create(tmem::Store& store, ClientId client,
                                                    const Clock& clock,
                                                    std::unique_ptr<BackingStore> backing,
                                                    const DeviceOptions& options);
  // The device of a life before, from its map: options.map_path, whose size and block size are
  // taken from `options`. Its pages' locations are made to agree with the pool.
  static Result<std::unique_ptr<SwapDevice>> recover(tmem::Store& store, ClientId client,
                                                     const Clock& clock,
                                                     std::unique_ptr<BackingStore> backing,
                                                     const DeviceOptions& options, LocationMap map);
  // Waits for what is under way; then pool and map go, unless they are to be kept. Requests must be
  // done.
  ~SwapDevice() override;
  // Pool and map stay for the next life when the device is destroyed.
  void keep() { kept_ = true; }
  // True when no page is anywhere: nothing would be lost with the device.
  [[nodiscard]] bool empty() const;

  // Makes the device larger, in pages that are holes. kInvalid when it would become smaller.
  Status grow(std::uint64_t size_bytes, const std::string& description);

  [[nodiscard]] std::uint64_t size_bytes() const override { return options_.size_bytes; }
  [[nodiscard]] std::uint32_t logical_block_size() const override {
    return options_.logical_block_size;
  }
  void submit(IoRequest* request) override;
  [[nodiscard]] int event_fd() const override { return backing_->event_fd(); }
  void poll() override;
  [[nodiscard]] std::uint64_t in_flight() const override { return requests_in_flight_; }
  [[nodiscard]] Extent extent(std::uint64_t offset, std::uint64_t limit) const override;

  // Moves the client's oldest pages to the backing store, as many as the rate allows since the last
  // call, while the client is over its target. Call it every kDemotionPeriodNs or so.
  static constexpr std::uint64_t kDemotionPeriodNs = 20'000'000;
  void demote();  // no more than the rate allows, however often it is called
  // Takes effect at the next demote().
  void set_demotion_rate(std::uint64_t pages_per_second) {
    options_.demotion_pages_per_second = pages_per_second;
  }

  [[nodiscard]] DeviceStatistics statistics() const;

 private:
  SwapDevice(tmem::Store& store, ClientId client, PoolId pool, const Clock& clock,
             std::unique_ptr<BackingStore> backing, const DeviceOptions& options, LocationMap map);
  void reconcile();

  // Requests: each step deals with some bytes at the cursor, or says that it must wait.
  void advance(IoRequest* request);
  bool step(IoRequest* request);
  bool step_read(IoRequest* request);
  bool step_write(IoRequest* request);
  bool step_write_zeroes(IoRequest* request);
  bool step_discard(IoRequest* request);
  bool step_flush(IoRequest* request);
  [[nodiscard]] bool wanted_for_change(std::uint64_t page) const;
  bool read_from_memory(IoRequest* request, const PageRange& range);
  bool read_from_backing(IoRequest* request, std::uint64_t page);
  bool change_part(IoRequest* request, const PageRange& range);
  bool discard_whole_pages(IoRequest* request, std::uint64_t first, std::uint64_t end);
  [[nodiscard]] bool may_change(std::uint64_t first, std::uint64_t count) const;
  void part_done(IoRequest* request, IoStatus status);
  void resume_waiting();

  // Pages.
  bool put(std::uint64_t page, const std::byte* content);
  void store_page(IoRequest* request, std::uint64_t page, const std::byte* content);
  void write_to_backing(IoRequest* request, std::uint64_t page, const std::byte* content);
  [[nodiscard]] bool busy(std::uint64_t first, std::uint64_t count) const;
  [[nodiscard]] bool busy_or_read(std::uint64_t first, std::uint64_t count) const;

  // Transfers.
  Transfer* start(Transfer::Kind kind, IoRequest* request, std::uint64_t first_page);
  [[nodiscard]] Transfer* extendable(Transfer::Kind kind, const IoRequest* request,
                                     std::uint64_t page) const;
  void issue(Transfer* transfer);
  void issue_built();
  void count_wait();
  void finished(Transfer* transfer, int error);
  void finish_read(Transfer* transfer);
  void finish_write(Transfer* transfer, int error);
  void finish_modify(Transfer* transfer);
  void finish_demotion(Transfer* transfer, int error);
  void note_error(const Transfer& transfer, int error);
  void demote_pages(std::span<tmem::PageKey> keys);

  [[nodiscard]] tmem::PageKey key_of(std::uint64_t page) const {
    return {pool_, 0, static_cast<std::uint32_t>(page)};
  }
  [[nodiscard]] PageLocation location(std::uint64_t page) const { return map_.get(page); }
  void set_location(std::uint64_t page, PageLocation location);

  tmem::Store& store_;
  const ClientId client_;
  const PoolId pool_;
  const Clock& clock_;
  std::unique_ptr<BackingStore> backing_;
  DeviceOptions options_;

  LocationMap map_;
  bool kept_ = false;

  TransferPool transfers_;
  Transfer* built_ = nullptr;  // taken but not yet issued: the next page may join it
  IoRequest* waiting_head_ =
      nullptr;  // requests that met a busy page or no free transfer, in order
  IoRequest* waiting_tail_ = nullptr;
  const IoRequest* first_change_waiting_ = nullptr;
  std::uint64_t requests_in_flight_ = 0;
  bool unsynced_writes_ = false;

  std::uint64_t demotion_time_ns_;             // of the last demote()
  double demotion_allowance_ = 0;              // pages that may go now
  std::uint64_t demotion_pause_until_ns_ = 0;  // after an error
  unsigned demotions_under_way_ = 0;           // transfers
  std::uint64_t pages_being_demoted_ = 0;      // in them

  std::unique_ptr<DeviceCounters> counts_;
  std::uint64_t reads_under_way_ = 0;  // of the backing store
  std::uint64_t wait_counted_ns_ = 0;  // while there are any: up to when
};

}  // namespace fallow
