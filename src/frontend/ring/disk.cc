#include "frontend/ring/disk.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/units.h"

namespace fallow::ring {
namespace {

// A discard or a look for holes deals with so much at a time, as the device does it at once.
constexpr std::uint64_t kRangePartBytes = std::uint64_t{64} << 20;

class DiskExecutor;

struct DiskRequest : IoRequest {
  DiskExecutor* executor = nullptr;
  std::uint64_t user_data = 0;
  std::uint32_t token = 0;  // of the region that it pins, or 0
  std::uint64_t rest = 0;   // bytes of the range behind the part that is under way
  iovec segment{};
  DiskRequest* next_free = nullptr;
};

class DiskExecutor final : public Executor {
 public:
  DiskExecutor(LoopSeat& seat, BlockDevice& device, Regions& regions, Sink& sink,
               std::uint32_t entries)
      : seat_(seat), device_(device), regions_(regions), sink_(sink), requests_(entries) {
    for (DiskRequest& request : requests_) {
      request.executor = this;
      request.done = &DiskExecutor::on_done;
      request.next_free = std::exchange(free_, &request);
    }
  }

  Step begin(const Submission& entry, Answer& answer) override {
    switch (entry.opcode) {
      case Opcode::kNop:
        return Step::kAnswered;
      case Opcode::kRead:
        return transfer(IoOp::kRead, entry, answer);
      case Opcode::kWrite:
        return transfer(IoOp::kWrite, entry, answer);
      case Opcode::kSync:
        submit(IoOp::kFlush, entry);
        return Step::kInFlight;
      case Opcode::kDiscard:
        return change_range(IoOp::kDiscard, entry, answer);
      case Opcode::kWriteZeroes:
        return change_range(IoOp::kWriteZeroes, entry, answer);
      case Opcode::kExtent:
        answer = tell_extent(entry);
        return Step::kAnswered;
      default:
        answer.result = -EINVAL;
        return Step::kAnswered;
    }
  }

  // Nothing is ever unfinished here.
  Step go_on(Answer& answer) override {
    answer.result = -EINVAL;
    return Step::kAnswered;
  }

 private:
  // Whether the entry's range is one of whole blocks within the disk.
  [[nodiscard]] bool within(const Submission& entry, std::uint64_t unit,
                            std::uint32_t length_max) const {
    const std::uint64_t size = device_.size_bytes();
    return entry.length != 0 && entry.length <= length_max && entry.length % unit == 0 &&
           entry.object % unit == 0 && entry.object <= size && entry.length <= size - entry.object;
  }

  Step transfer(IoOp op, const Submission& entry, Answer& answer) {
    if (!within(entry, device_.logical_block_size(), kTransferBytesMax)) {
      answer.result = -EINVAL;
      return Step::kAnswered;
    }
    std::byte* data = regions_.find(entry.token, entry.address, entry.length);
    if (data == nullptr) {
      answer.result = -EFAULT;
      return Step::kAnswered;
    }
    regions_.pin(entry.token);
    DiskRequest& request = take(op, entry);
    request.token = entry.token;
    request.length = entry.length;
    request.segment = {data, entry.length};
    request.segments = {&request.segment, 1};
    device_.submit(&request);
    return Step::kInFlight;
  }

  Step change_range(IoOp op, const Submission& entry, Answer& answer) {
    if (!within(entry, device_.logical_block_size(), kDiskRangeMax)) {
      answer.result = -EINVAL;
      return Step::kAnswered;
    }
    submit(op, entry);
    return Step::kInFlight;
  }

  void submit(IoOp op, const Submission& entry) {
    DiskRequest& request = take(op, entry);
    const std::uint64_t length = op == IoOp::kFlush ? 0 : entry.length;
    request.offset = op == IoOp::kFlush ? 0 : entry.object;
    request.length = std::min(length, kRangePartBytes);
    request.rest = length - request.length;
    device_.submit(&request);
  }

  Answer tell_extent(const Submission& entry) const {
    if (!within(entry, kPageSize, kDiskRangeMax)) {
      return {-EINVAL, 0};
    }
    const std::uint64_t limit = std::min<std::uint64_t>(entry.length, kRangePartBytes);
    const BlockDevice::Extent extent = device_.extent(entry.object, limit);
    return {extent.hole ? 1 : 0, static_cast<std::uint32_t>(extent.length / kPageSize)};
  }

  // There is one for each entry that a queue can have in flight.
  DiskRequest& take(IoOp op, const Submission& entry) {
    CHECK(free_ != nullptr);
    DiskRequest& request = *std::exchange(free_, free_->next_free);
    request.op = op;
    request.offset = entry.object;
    request.segments = {};
    request.user_data = entry.user_data;
    request.token = 0;
    request.rest = 0;
    return request;
  }

  static void on_done(IoRequest* io, IoStatus status) {
    auto& request = static_cast<DiskRequest&>(*io);
    request.executor->done(request, status);
  }

  void done(DiskRequest& request, IoStatus status) {
    if (status == IoStatus::kOk && request.rest != 0) {
      go_on_with(request);
      return;
    }
    if (request.token != 0) {
      regions_.unpin(request.token);
    }
    const std::uint64_t user_data = request.user_data;
    request.next_free = std::exchange(free_, &request);
    sink_.answer(user_data, {status == IoStatus::kOk ? 0 : -EIO, 0});
  }

  // The next part of a range, after the loop's other work. The queue stays while it is in flight,
  // and this with it.
  void go_on_with(DiskRequest& request) {
    request.offset += request.length;
    request.length = std::min(request.rest, kRangePartBytes);
    request.rest -= request.length;
    seat_.soon([&request] { request.executor->device_.submit(&request); });
  }

  LoopSeat& seat_;
  BlockDevice& device_;
  Regions& regions_;
  Sink& sink_;
  std::vector<DiskRequest> requests_;
  DiskRequest* free_ = nullptr;
};

}  // namespace

void DiskAttachment::introduce(Welcome& welcome) const {
  welcome.secret = identity_;
  welcome.resumed = said_ == identity_ && identity_ != Secret{} ? 1 : 0;
  welcome.disk_bytes = device_.size_bytes();
  welcome.disk_block_bytes = device_.logical_block_size();
}

Status DiskAttachment::keep(std::uint32_t /*seconds*/) {
  return invalid("what a disk holds is its VM's, and stays anyway");
}

std::unique_ptr<Executor> DiskAttachment::make_executor(Regions& regions, Executor::Sink& sink,
                                                        std::uint32_t entries) {
  return std::make_unique<DiskExecutor>(seat_, device_, regions, sink, entries);
}

}  // namespace fallow::ring
