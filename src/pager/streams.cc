#include "pager/streams.h"

#include <algorithm>
#include <cstdlib>

namespace fallow::pager {
namespace {

constexpr std::uint32_t kTrial = 512;  // pages between two judgements
constexpr std::uint32_t kRest = 1024;  // faults

}  // namespace

void Streams::judge(std::uint32_t pages, bool paid) {
  tried_ += pages;
  paid_ += paid ? pages : 0;
  if (tried_ < kTrial) {
    return;
  }
  if (paid_ < tried_ / 4) {
    resting_ = kRest;
  }
  tried_ = 0;
  paid_ = 0;
}

// The stream that goes on with `page`; else the one that is nearest, if it has no stride yet; else
// the one that was used longest ago, which ends.
Streams::Stream& Streams::stream_of(std::uint64_t page) {
  Stream* oldest = &streams_[0];
  Stream* near = nullptr;
  for (Stream& one : streams_) {
    const auto distance = static_cast<std::int64_t>(page - one.last);
    if (one.length > 0 && one.stride != 0 && distance == one.stride) {
      return one;
    }
    if (one.length == 1 && distance != 0 && std::abs(distance) <= kStrideMost) {
      near = &one;
    }
    if (one.used_at < oldest->used_at) {
      oldest = &one;
    }
  }
  Stream& chosen = near != nullptr ? *near : *oldest;
  if (near == nullptr) {
    if (chosen.ahead > 0) {
      judge(chosen.ahead, false);
    }
    chosen = {};
  }
  return chosen;
}

Streams::Plan Streams::fault(std::uint64_t page) {
  Stream& stream = stream_of(page);
  Plan plan;
  if (stream.length == 1) {
    stream.stride = static_cast<std::int64_t>(page - stream.last);
  }
  if (stream.ahead > 0) {
    judge(stream.ahead, true);
    plan.proved = stream.ahead;
  }
  ++stream.length;
  stream.last = page;
  stream.used_at = ++now_;
  const std::uint32_t before = stream.ahead;
  stream.ahead = 0;
  current_ = &stream;
  if (resting_ > 0) {
    --resting_;
  } else if (stream.length > 2) {
    plan.stride = stream.stride;
    plan.ahead = std::clamp(before * 2, 2u, kAheadMost - 1);
  }
  return plan;
}

void Streams::brought(std::uint32_t pages) {
  current_->ahead = pages;
  current_->last += static_cast<std::uint64_t>(current_->stride * static_cast<std::int64_t>(pages));
}

}  // namespace fallow::pager
