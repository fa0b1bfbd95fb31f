// Transfers between a device and its backing store, each with a buffer of a few pages. A device has
// a fixed number: memory grows with operations under way, not with requests or devices' sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/units.h"
#include "device/backing_store.h"
#include "device/block_device.h"

namespace fallow {

struct Transfer {
  enum class Kind : std::uint8_t {
    kRead,    // pages into a request's memory
    kWrite,   // pages that memory refused
    kModify,  // the rest of a page that a request changes in part; becomes kWrite or ends in a put
    kDemote,  // pages on their way out of memory
    kPunch,   // discarded pages
    kSync,    // a flush
  };
  static constexpr std::uint64_t kPagesMax = 16;

  BackingIo io;  // first, so that the backing store's pointer leads back here
  Kind kind = Kind::kRead;
  IoRequest* request = nullptr;  // none for kDemote
  std::uint64_t request_at = 0;  // for kRead, kModify: where in the request the range begins
  std::uint64_t first_page = 0;
  std::uint64_t page_count = 0;  // 0 for kSync; more than kPagesMax only for kPunch
  std::byte* buffer = nullptr;   // kPagesMax pages
  void* owner = nullptr;

  // Any of those pages.
  [[nodiscard]] bool covers(std::uint64_t first, std::uint64_t count) const {
    return first < first_page + page_count && first_page < first + count;
  }
};

class TransferPool {
 public:
  static constexpr unsigned kTransfers = 32;
  static_assert(kTransfers <= BackingStore::kDepthMax);

  TransferPool();
  // Nothing when all are under way.
  Transfer* take();
  void give_back(Transfer* transfer);
  [[nodiscard]] const std::vector<Transfer*>& active() const { return active_; }
  [[nodiscard]] bool has_free() const { return !free_.empty(); }

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::unique_ptr<std::byte[], Free> buffers_;
  std::vector<Transfer> all_;
  std::vector<Transfer*> free_;
  std::vector<Transfer*> active_;
};

}  // namespace fallow
