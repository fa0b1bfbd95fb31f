#include "frontend/vhost_user/block_queue.h"

#include <algorithm>

#include "base/check.h"
#include "frontend/vhost_user/eventfd.h"

namespace fallow::vhost_user {
namespace {

// Waking an idle processor costs tens of microseconds; a look costs a few nanoseconds. The longest
// wait is about 10 microseconds, so that other queues of the loop do not notice.
// Completions are shown to the driver in batches of this many while there is more to do, so that it
// works on them, and on what comes next, at the same time.
constexpr std::uint16_t kPublishBatch = 8;

constexpr unsigned kSpinsMin = 8;
constexpr unsigned kSpinsMax = 256;

void count(ExportCounters& counters, const BlockRequest& request) {
  switch (request.op) {
    case IoOp::kRead:
      counters.reads.add(1);
      counters.bytes_read.add(request.length);
      return;
    case IoOp::kWrite:
      counters.writes.add(1);
      counters.bytes_written.add(request.length);
      return;
    case IoOp::kFlush:
      counters.flushes.add(1);
      return;
    case IoOp::kDiscard:
    case IoOp::kWriteZeroes:
      counters.discards.add(1);
      return;
  }
}

}  // namespace

BlockQueue::BlockQueue(Virtqueue ring, const Environment& environment)
    : environment_(environment),
      ring_(std::move(ring)),
      requests_(std::make_unique<BlockRequest[]>(ring_.size())),
      rooms_(std::make_unique_for_overwrite<SegmentRoom[]>(ring_.size())),
      spins_(kSpinsMin) {
  for (std::uint16_t head = 0; head < ring_.size(); ++head) {
    requests_[head].queue = this;
    requests_[head].head = head;
    requests_[head].done = &BlockQueue::on_done;
  }
}

BlockQueue::~BlockQueue() {
  CHECK(in_flight_ == 0);
}

bool BlockQueue::resubmit() {
  while (!broken_ && !abandoned_ && ring_.has_recovered()) {
    const auto taken = ring_.take(environment_.memory, environment_.scratch);
    if (taken != Virtqueue::Take::kChain || !start(environment_.scratch)) {
      break_ring();
      return false;
    }
  }
  return true;
}

BlockQueue::Served BlockQueue::serve(unsigned budget, int call) {
  if (broken_ || abandoned_) {
    return Served::kBroken;
  }
  ring_.disable_notifications();
  for (; budget > 0; --budget) {
    const auto taken = ring_.take(environment_.memory, environment_.scratch);
    if (taken == Virtqueue::Take::kBroken) {
      return break_ring();
    }
    if (taken == Virtqueue::Take::kChain) {
      if (!start(environment_.scratch)) {
        return break_ring();
      }
      if (ring_.unpublished() >= kPublishBatch) {
        flush(call);
      }
      continue;
    }
    flush(call);
    if (await_chain()) {
      continue;
    }
    if (!ring_.enable_notifications()) {
      return Served::kAll;
    }
    ring_.disable_notifications();
  }
  flush(call);
  return Served::kSome;
}

void BlockQueue::flush(int call) {
  if (!abandoned_ && ring_.publish() && call >= 0) {
    signal_eventfd(call);
  }
}

bool BlockQueue::start(const Chain& chain) {
  BlockRequest& request = requests_[chain.head()];
  if (request.in_flight) {
    return false;
  }
  const auto result = parse_block_request(chain, environment_.memory, environment_.shape,
                                          rooms_[chain.head()], request);
  switch (result.parsed) {
    case Parsed::kSubmit:
      submit(request);
      return true;
    case Parsed::kAnswered:
      answer(request, result.answer);
      return true;
    case Parsed::kUnanswerable:
      break;
  }
  return false;
}

void BlockQueue::submit(BlockRequest& request) {
  count(environment_.counters, request);
  request.in_flight = true;
  ++in_flight_;
  environment_.counters.in_flight.add(1);
  environment_.device.submit(&request);
}

void BlockQueue::on_done(IoRequest* io, IoStatus status) {
  auto& request = static_cast<BlockRequest&>(*io);
  BlockQueue& queue = *request.queue;
  request.in_flight = false;
  --queue.in_flight_;
  queue.environment_.counters.in_flight.subtract(1);
  // Memory that went away may have been read as zeros: that is no success.
  const bool good = status == IoStatus::kOk && !queue.environment_.memory.broken();
  queue.answer(request, good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
  queue.environment_.owner.request_done();
}

void BlockQueue::answer(BlockRequest& request, std::uint8_t status) {
  if (status != VIRTIO_BLK_S_OK) {
    environment_.counters.errors.add(1);
    request.written = 1;
  }
  if (!abandoned_) {
    *request.status = static_cast<std::byte>(status);
    ring_.push(request.head, request.written);
  }
  if (environment_.logs_data) {
    mark_data(request);
  }
}

// Failed reads too: a part may have been written.
void BlockQueue::mark_data(const BlockRequest& request) {
  const GuestMemory& memory = environment_.memory;
  if (request.op == IoOp::kRead) {
    for (const iovec& segment : request.segments) {
      const auto* at = static_cast<const std::byte*>(segment.iov_base);
      environment_.log.mark(memory.guest_address(at), segment.iov_len);
    }
  }
  environment_.log.mark(memory.guest_address(request.status), 1);
}

// Looks for more before the driver is asked to notify: longer when that paid off lately.
bool BlockQueue::await_chain() {
  if (in_flight_ != 0) {
    return false;  // completions are waiting to be reaped
  }
  for (unsigned i = 0; i < spins_; ++i) {
    if (ring_.has_available()) {
      spins_ = std::min(spins_ * 2, kSpinsMax);
      return true;
    }
    __builtin_ia32_pause();
  }
  spins_ = std::max(spins_ / 2, kSpinsMin);
  return false;
}

BlockQueue::Served BlockQueue::break_ring() {
  broken_ = true;
  environment_.counters.queues_broken.add(1);
  return Served::kBroken;
}

}  // namespace fallow::vhost_user
