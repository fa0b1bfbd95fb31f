#include "device/transfer.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace fallow {

void TransferPool::Free::operator()(std::byte* bytes) const {
  std::free(bytes);
}

TransferPool::TransferPool() : all_(kTransfers) {
  constexpr std::size_t kBufferBytes = Transfer::kPagesMax * kPageSize;
  buffers_.reset(static_cast<std::byte*>(std::aligned_alloc(kPageSize, kTransfers * kBufferBytes)));
  CHECK(buffers_ != nullptr);
  for (unsigned i = 0; i < kTransfers; ++i) {
    all_[i].buffer = buffers_.get() + i * kBufferBytes;
    free_.push_back(&all_[i]);
  }
  active_.reserve(kTransfers);
}

Transfer* TransferPool::take() {
  if (free_.empty()) {
    return nullptr;
  }
  Transfer* transfer = free_.back();
  free_.pop_back();
  active_.push_back(transfer);
  return transfer;
}

void TransferPool::give_back(Transfer* transfer) {
  const auto at = std::find(active_.begin(), active_.end(), transfer);
  CHECK(at != active_.end());
  *at = active_.back();
  active_.pop_back();
  free_.push_back(transfer);
}

}  // namespace fallow
