// A block device in memory for tests, fuzz targets and experiments: completes at once, when it is
// polled, or when it is told to.
//
// One thread, the loop's, but for the fault switches.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "base/file.h"
#include "device/block_device.h"

namespace fallow::vhost_user {

class FakeBlockDevice final : public BlockDevice {
 public:
  enum class Completion {
    kAtOnce,
    kOnPoll,
    kOutOfOrder,  // on poll, a few at a time, any of those that wait
  };

  explicit FakeBlockDevice(std::uint64_t size_bytes, Completion completion = Completion::kAtOnce,
                           std::uint32_t logical_block_size = 4096)
      : own_(size_bytes),
        bytes_(own_),
        completion_(completion),
        logical_block_size_(logical_block_size),
        event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Keeps its bytes in `memory`, such as one that outlives the process.
  FakeBlockDevice(std::span<std::byte> memory, Completion completion)
      : bytes_(memory), completion_(completion), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
  [[nodiscard]] std::uint32_t logical_block_size() const override { return logical_block_size_; }
  [[nodiscard]] int event_fd() const override { return event_.get(); }
  [[nodiscard]] std::uint64_t in_flight() const override { return in_flight_.load(); }

  void submit(IoRequest* request) override {
    in_flight_.fetch_add(1);
    if (completion_ == Completion::kAtOnce) {
      complete(request);
      return;
    }
    waiting_.push_back(request);
    if (!held_.load()) {
      signal();
    }
  }

  void poll() override {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    if (completion_ == Completion::kOutOfOrder) {
      complete_some();
      return;
    }
    while (!held_.load() && !waiting_.empty()) {
      IoRequest* request = waiting_.front();
      waiting_.pop_front();
      complete(request);
    }
  }

  // Any thread: requests submitted from now on stay in flight until release(). Not kAtOnce.
  void hold() { held_.store(true); }
  void release() {
    held_.store(false);
    signal();
  }
  // Any thread: every request fails from now on, or succeeds again.
  void set_failing(bool failing) { failing_.store(failing); }

  // Only with bytes of its own. Nothing may be in flight.
  void resize(std::uint64_t size_bytes) {
    own_.resize(size_bytes);
    bytes_ = own_;
  }

  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

 private:
  void signal() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  }

  void complete_some() {
    const std::size_t count = waiting_.size() / 2 + 1;
    for (std::size_t i = 0; i < count && !held_.load() && !waiting_.empty(); ++i) {
      dice_ = dice_ * 1664525u + 1013904223u;
      std::swap(waiting_[(dice_ >> 8) % waiting_.size()], waiting_.back());
      IoRequest* request = waiting_.back();
      waiting_.pop_back();
      complete(request);
    }
    if (!waiting_.empty()) {
      signal();
    }
  }

  void complete(IoRequest* request) {
    const bool good = !failing_.load();
    if (good) {
      carry_out(*request);
    }
    in_flight_.fetch_sub(1);
    request->done(request, good ? IoStatus::kOk : IoStatus::kIoError);
  }

  void carry_out(const IoRequest& request) {
    std::byte* at = bytes_.data() + request.offset;
    switch (request.op) {
      case IoOp::kRead:
      case IoOp::kWrite:
        for (const iovec& segment : request.segments) {
          const bool read = request.op == IoOp::kRead;
          std::memcpy(read ? segment.iov_base : at, read ? at : segment.iov_base, segment.iov_len);
          at += segment.iov_len;
        }
        return;
      case IoOp::kDiscard:
      case IoOp::kWriteZeroes:
        std::memset(at, 0, request.length);
        return;
      case IoOp::kFlush:
        return;
    }
  }

  std::vector<std::byte> own_;
  std::span<std::byte> bytes_;
  Completion completion_;
  std::uint32_t logical_block_size_ = 4096;
  std::uint32_t dice_ = 1;
  UniqueFd event_;
  std::deque<IoRequest*> waiting_;
  std::atomic<std::uint64_t> in_flight_{0};
  std::atomic<bool> held_{false};
  std::atomic<bool> failing_{false};
};

}  // namespace fallow::vhost_user
