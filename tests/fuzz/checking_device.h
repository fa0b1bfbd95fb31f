// A device that stops the program when a front end hands it a request that it must have refused.
#pragma once

#include <algorithm>

#include "base/check.h"
#include "frontend/vhost_user/fake_block_device.h"

namespace fallow::fuzz {

class CheckingDevice final : public BlockDevice {
 public:
  explicit CheckingDevice(std::uint64_t size_bytes)
      : device_(size_bytes, vhost_user::FakeBlockDevice::Completion::kOnPoll), size_(size_bytes) {}

  // What the guest may use of it from now on, at most the whole.
  void resize(std::uint64_t size_bytes) { size_ = size_bytes; }
  [[nodiscard]] std::uint64_t size_bytes() const override { return size_; }
  [[nodiscard]] std::uint32_t logical_block_size() const override { return 4096; }
  [[nodiscard]] int event_fd() const override { return device_.event_fd(); }
  [[nodiscard]] std::uint64_t in_flight() const override { return device_.in_flight(); }
  void poll() override { device_.poll(); }
  void fill_with_zeros() {
    std::fill(device_.bytes().begin(), device_.bytes().end(), std::byte{0});
  }

  void submit(IoRequest* request) override {
    CHECK(request->done != nullptr);
    CHECK(request->offset % kSectorSize == 0 && request->length % kSectorSize == 0);
    CHECK(request->offset <= size_bytes() && request->length <= size_bytes() - request->offset);
    std::uint64_t sum = 0;
    for (const iovec& segment : request->segments) {
      sum += segment.iov_len;
    }
    const bool transfer = request->op == IoOp::kRead || request->op == IoOp::kWrite;
    CHECK(!transfer || sum == request->length);
    CHECK(transfer || request->segments.empty());
    CHECK((request->op == IoOp::kFlush) == (request->length == 0));
    device_.submit(request);  // touches every byte of the segments
  }

 private:
  vhost_user::FakeBlockDevice device_;
  std::uint64_t size_;
};

}  // namespace fallow::fuzz
