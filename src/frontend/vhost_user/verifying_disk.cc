#include "frontend/vhost_user/verifying_disk.h"

#include <poll.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/units.h"

namespace fallow::vhost_user {
namespace {

constexpr std::uint32_t kSectorsPerPage = kPageSize / kSectorSize;
constexpr unsigned kSpins = 200;
constexpr int kRetryMs = 5;

// A word of a page's content: different for each page, version and place. (The finaliser of
// SplitMix64, a public-domain generator.)
std::uint64_t word_of(std::uint64_t page, std::uint64_t version, std::uint64_t at) {
  std::uint64_t x = (page << 40) ^ (version << 9) ^ at;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

TestFrontEnd::Options front_end_options(const VerifyingDisk::Options& options) {
  TestFrontEnd::Options result;
  result.queues = options.queues;
  result.queue.size = options.depth;
  result.queue.slot_bytes = kPageSize;
  result.inflight = options.inflight;
  result.timeout_ms = options.timeout_ms;
  return result;
}

void add(std::vector<std::uint64_t>& set, std::uint64_t version) {
  if (std::find(set.begin(), set.end(), version) == set.end()) {
    set.push_back(version);
  }
}

}  // namespace

VerifyingDisk::VerifyingDisk(const Options& options)
    : options_(options), pages_(options.pages), queues_(options.queues), random_(options.seed) {
  for (Queue& queue : queues_) {
    queue.requests.resize(options.depth);
  }
}

Result<std::unique_ptr<VerifyingDisk>> VerifyingDisk::open(const Options& options) {
  auto front = TestFrontEnd::connect(options.socket_path, front_end_options(options));
  if (!front) {
    return front.error();
  }
  if (options.pages == 0 || options.pages > (*front)->config().capacity / kSectorsPerPage) {
    return invalid("the disk has fewer pages than are to be verified");
  }
  std::unique_ptr<VerifyingDisk> disk(new VerifyingDisk(options));
  disk->front_ = std::move(*front);
  return disk;
}

Status VerifyingDisk::run(std::uint64_t operations) {
  const std::uint64_t end = operations_ + operations;
  while (operations_ < end) {
    FALLOW_TRY(turn());
  }
  return {};
}

Status VerifyingDisk::run_until(const std::atomic<bool>& enough) {
  while (!enough.load()) {
    FALLOW_TRY(turn());
  }
  return {};
}

Status VerifyingDisk::turn() {
  for (unsigned queue = 0; queue < queues_.size(); ++queue) {
    fill(queue);
  }
  return wait();
}

Status VerifyingDisk::drain() {
  const auto busy = [](const Queue& queue) { return queue.in_flight > 0; };
  while (std::any_of(queues_.begin(), queues_.end(), busy)) {
    FALLOW_TRY(wait());
  }
  return {};
}

Status VerifyingDisk::verify_all() {
  FALLOW_TRY(drain());
  for (std::uint64_t page = 0; page < pages_.size(); ++page) {
    const auto queue = static_cast<unsigned>(page % queues_.size());
    const auto slot = static_cast<unsigned>(page / queues_.size() % options_.depth);
    if (queues_[queue].requests[slot].in_flight) {
      FALLOW_TRY(drain());
    }
    submit(queue, slot, Request::Kind::kRead, page);
    front_->queue(queue).kick();
  }
  return drain();
}

// Requests.

void VerifyingDisk::fill(unsigned index) {
  Queue& queue = queues_[index];
  for (unsigned slot = 0; slot < options_.depth; ++slot) {
    if (queue.requests[slot].in_flight) {
      continue;
    }
    const std::uint64_t page = random_() % pages_.size();
    const std::uint64_t dice = random_() % 16;
    auto kind = dice < 7 ? Request::Kind::kRead : Request::Kind::kWrite;
    if (dice == 15) {
      kind = Request::Kind::kZero;
    }
    // Of two changes of one page in flight nobody knows which comes last.
    submit(index, slot, pages_[page].changing ? Request::Kind::kRead : kind, page);
  }
  front_->queue(index).kick();
}

void VerifyingDisk::write_version(std::span<std::byte> to, std::uint64_t page,
                                  Version version) const {
  const std::uint64_t equal_words = options_.compressible ? version % 6 + 1 : 1;
  for (std::uint64_t at = 0; at < kPageSize / 8; ++at) {
    const std::uint64_t word = version == 0 ? 0 : word_of(page, version, at / equal_words);
    std::memcpy(to.data() + at * 8, &word, 8);
  }
}

void VerifyingDisk::submit(unsigned index, unsigned slot, Request::Kind kind, std::uint64_t at) {
  Queue& queue = queues_[index];
  Request& request = queue.requests[slot];
  DriverQueue& ring = front_->queue(index);
  Page& page = pages_[at];
  request.kind = kind;
  request.in_flight = true;
  request.page = at;
  ++queue.in_flight;
  const std::uint64_t sector = at * kSectorsPerPage;
  if (kind == Request::Kind::kRead) {
    request.possible = page.possible;
    if (page.changing) {
      add(request.possible, page.writing);
    }
    ring.submit(slot, VIRTIO_BLK_T_IN, sector, kPageSize);
    return;
  }
  page.changing = true;
  page.writing = kind == Request::Kind::kWrite ? next_version_++ : 0;
  for (Queue& other : queues_) {
    for (Request& read : other.requests) {
      if (read.in_flight && read.kind == Request::Kind::kRead && read.page == at) {
        add(read.possible, page.writing);
      }
    }
  }
  if (kind == Request::Kind::kWrite) {
    write_version(ring.data(slot), at, page.writing);
    ring.submit(slot, VIRTIO_BLK_T_OUT, sector, kPageSize);
    return;
  }
  const virtio_blk_discard_write_zeroes range{sector, kSectorsPerPage,
                                              VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP};
  std::memcpy(ring.data(slot).data(), &range, sizeof range);
  ring.submit(slot, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof range);
}

Error VerifyingDisk::wrong(const Request& request, const std::string& what) const {
  return failed("page " + std::to_string(request.page) + ", after " + std::to_string(operations_) +
                " operations: " + what);
}

Status VerifyingDisk::complete(unsigned index, const DriverQueue::Completion& completion) {
  Queue& queue = queues_[index];
  if (completion.slot >= queue.requests.size() || !queue.requests[completion.slot].in_flight) {
    return failed("a request of queue " + std::to_string(index) +
                  " completed that is not in flight: slot " + std::to_string(completion.slot));
  }
  Request& request = queue.requests[completion.slot];
  request.in_flight = false;
  --queue.in_flight;
  ++operations_;
  const bool good = completion.status == VIRTIO_BLK_S_OK;
  Page& page = pages_[request.page];
  errors_ += good ? 0 : 1;
  if (!good && options_.errors == Errors::kForbidden) {
    return wrong(request, "the operation failed");
  }
  if (request.kind != Request::Kind::kRead) {
    note_change(page, good);
    return {};
  }
  return good ? check_read(request, front_->queue(index).data(completion.slot)) : Status();
}

void VerifyingDisk::note_change(Page& page, bool good) {
  page.changing = false;
  if (good) {
    page.possible.assign(1, page.writing);
  } else {
    add(page.possible, page.writing);
  }
}

bool VerifyingDisk::holds(std::span<const std::byte> data, std::uint64_t page,
                          Version version) const {
  std::byte expected[kPageSize];
  write_version(expected, page, version);
  return std::memcmp(expected, data.data(), kPageSize) == 0;
}

// Each byte is that of some possible version.
bool VerifyingDisk::holds_mixture(std::span<const std::byte> data, const Request& request) const {
  std::vector<bool> explained(kPageSize, false);
  for (const Version version : request.possible) {
    std::byte expected[kPageSize];
    write_version(expected, request.page, version);
    for (std::size_t at = 0; at < kPageSize; ++at) {
      explained[at] = explained[at] || expected[at] == data[at];
    }
  }
  return std::find(explained.begin(), explained.end(), false) == explained.end();
}

Status VerifyingDisk::check_read(const Request& request, std::span<const std::byte> data) const {
  for (const Version version : request.possible) {
    if (holds(data, request.page, version)) {
      return {};
    }
  }
  if (options_.tearing == Tearing::kAllowed && holds_mixture(data, request)) {
    return {};
  }
  std::string versions;
  for (const Version version : request.possible) {
    versions += " " + std::to_string(version);
  }
  for (Version version = 0; version < next_version_; ++version) {
    const std::uint64_t first = version == 0 ? 0 : word_of(request.page, version, 0);
    if (std::memcmp(&first, data.data(), sizeof first) == 0) {
      return wrong(request, "holds version " + std::to_string(version) + ", at least in part, not" +
                                versions);
    }
  }
  return wrong(request,
               "holds what was never written to it; possible were the versions" + versions);
}

// Completions and the peer's death.

Status VerifyingDisk::reap(bool& some) {
  for (unsigned index = 0; index < queues_.size(); ++index) {
    DriverQueue::Completion completion;
    while (front_->queue(index).poll(completion)) {
      some = true;
      FALLOW_TRY(complete(index, completion));
    }
  }
  return {};
}

// For at least one completion.
Status VerifyingDisk::wait() {
  bool some = false;
  for (unsigned spin = 0; spin < kSpins && !some; ++spin) {
    FALLOW_TRY(reap(some));
    __builtin_ia32_pause();
  }
  while (!some) {
    std::vector<pollfd> fds{{front_->socket(), POLLRDHUP, 0}};
    bool quiet = true;
    for (unsigned index = 0; index < queues_.size(); ++index) {
      quiet = front_->queue(index).ask_for_notification() && quiet;
      fds.push_back({front_->queue(index).call_fd(), POLLIN, 0});
    }
    const int ready = quiet ? ::poll(fds.data(), fds.size(), options_.timeout_ms) : 1;
    if (ready == 0) {
      return failed("no request has completed in time");
    }
    if (quiet && fds[0].revents != 0) {
      FALLOW_TRY(reconnect());
    }
    for (unsigned index = 0; quiet && index < queues_.size(); ++index) {
      if (fds[index + 1].revents != 0) {
        front_->queue(index).drain_notification();
      }
    }
    FALLOW_TRY(reap(some));
  }
  return {};
}

Status VerifyingDisk::reconnect() {
  ++reconnections_;
  const SystemClock clock;
  const auto patience_ns = static_cast<std::uint64_t>(options_.timeout_ms) * 1'000'000u;
  const std::uint64_t deadline_ns = clock.now_ns() + patience_ns;
  for (;;) {
    const Status connected = front_->reconnect(options_.socket_path);
    if (connected || clock.now_ns() > deadline_ns) {
      return connected;
    }
    ::poll(nullptr, 0, kRetryMs);
  }
}

}  // namespace fallow::vhost_user
