// Our vhost-user-blk back end against qemu-storage-daemon with a file on tmpfs: 4 KiB blocks at
// random places, driven by the same client over one queue. Both disks are filled beforehand with
// pages that differ and do not compress.

#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "base/check.h"
#include "base/clock.h"
#include "base/units.h"
#include "bench/back_end.h"
#include "bench/bench_case.h"
#include "frontend/vhost_user/test_front_end.h"

namespace fallow::bench {
namespace {

using vhost_user::DriverQueue;
using vhost_user::TestFrontEnd;

constexpr unsigned kRounds = 7;
constexpr std::uint32_t kSectorsPerPage = kPageSize / kSectorSize;
constexpr int kTimeoutMs = 10'000;

struct Load {
  std::uint32_t type = VIRTIO_BLK_T_IN;
  unsigned depth = 1;
};

// A back end with its disk filled and a client connected.
class Bed {
 public:
  Bed(std::unique_ptr<BackEnd> back_end, const Settings& settings)
      : quick_(settings.length == Settings::Length::kQuick),
        pages_(disk_bytes(settings) / kPageSize),
        back_end_(std::move(back_end)),
        front_(connect(back_end_->socket_path())) {
    fill();
    check();
  }

  static std::uint64_t disk_bytes(const Settings& settings) {
    return settings.length == Settings::Length::kQuick ? 16ull << 20 : 512ull << 20;
  }

  // Operations a second.
  double rate(const Load& load) {
    DriverQueue& queue = front_->queue(0);
    for (unsigned slot = 0; slot < load.depth; ++slot) {
      submit(load, slot);
    }
    queue.kick();
    const std::uint64_t duration_ns = quick_ ? 50'000'000u : 500'000'000u;
    const std::uint64_t start_ns = clock_.now_ns();
    std::uint64_t now_ns = start_ns;
    std::uint64_t completed = 0;
    while (now_ns - start_ns < duration_ns) {
      completed += turn(load);
      now_ns = clock_.now_ns();
    }
    drain(load.depth);
    return static_cast<double>(completed) * 1e9 / static_cast<double>(now_ns - start_ns);
  }

 private:
  static std::unique_ptr<TestFrontEnd> connect(const std::string& path) {
    TestFrontEnd::Options options;
    options.inflight = true;
    for (int patience_ms = kTimeoutMs; patience_ms > 0; --patience_ms) {
      auto front = TestFrontEnd::connect(path, options);
      if (front) {
        return *std::move(front);
      }
      ::poll(nullptr, 0, 1);
    }
    std::fprintf(stderr, "fallow-bench: the back end at %s does not come up\n", path.c_str());
    std::exit(1);
  }

  // A completion and what else is there, each replaced by a new request.
  std::uint64_t turn(const Load& load) {
    DriverQueue& queue = front_->queue(0);
    DriverQueue::Completion completion = wait();
    std::uint64_t count = 0;
    do {
      CHECK(completion.status == VIRTIO_BLK_S_OK);
      submit(load, completion.slot);
      ++count;
    } while (count < load.depth && queue.poll(completion));
    queue.kick();
    return count;
  }

  void submit(const Load& load, unsigned slot) {
    DriverQueue& queue = front_->queue(0);
    const std::uint64_t page = random_() % pages_;
    if (load.type == VIRTIO_BLK_T_OUT) {
      std::memcpy(queue.data(slot).data(), &++stamp_, sizeof stamp_);
    }
    queue.submit(slot, load.type, page * kSectorsPerPage, kPageSize);
  }

  DriverQueue::Completion wait() {
    DriverQueue::Completion completion;
    CHECK(front_->queue(0).wait(completion, kTimeoutMs));
    return completion;
  }

  void drain(unsigned requests) {
    for (unsigned i = 0; i < requests; ++i) {
      CHECK(wait().status == VIRTIO_BLK_S_OK);
    }
  }

  void fill_slot(unsigned slot, std::uint64_t page) {
    std::mt19937_64 words(page);
    for (std::size_t at = 0; at < kPageSize; at += 8) {
      const std::uint64_t word = words();
      std::memcpy(front_->queue(0).data(slot).data() + at, &word, sizeof word);
    }
  }

  void fill() {
    DriverQueue& queue = front_->queue(0);
    for (std::uint64_t page = 0; page < pages_;) {
      unsigned slot = 0;
      for (; slot < 32 && page < pages_; ++slot, ++page) {
        fill_slot(slot, page);
        queue.submit(slot, VIRTIO_BLK_T_OUT, page * kSectorsPerPage, kPageSize);
      }
      queue.kick();
      drain(slot);
    }
  }

  // What is measured is a disk that gives its pages back.
  void check() {
    std::vector<std::byte> page(kPageSize);
    for (std::uint64_t i = 0; i < pages_; i += pages_ / 16) {
      CHECK(front_->read(i * kPageSize, page) == VIRTIO_BLK_S_OK);
      fill_slot(1, i);
      CHECK(std::memcmp(page.data(), front_->queue(0).data(1).data(), kPageSize) == 0);
    }
  }

  const bool quick_;
  const std::uint64_t pages_;
  SystemClock clock_;
  std::unique_ptr<BackEnd> back_end_;
  std::unique_ptr<TestFrontEnd> front_;
  std::mt19937_64 random_{1};
  std::uint64_t stamp_ = 0;
};

Result measure(const Case& what, const Settings& settings, const Load& load) {
  const std::uint64_t bytes = Bed::disk_bytes(settings);
  Bed ours(BackEnd::start_ours(bytes), settings);
  Bed peer(BackEnd::start_storage_daemon(bytes), settings);
  return measure_in_turn(
      what, kRounds, [&] { return ours.rate(load); }, [&] { return peer.rate(load); });
}

}  // namespace

std::vector<Case> vhost_cases() {
  const auto with = [](std::uint32_t type, unsigned depth) {
    return [type, depth](const Case& what, const Settings& settings) {
      return measure(what, settings, {type, depth});
    };
  };
  return {
      {"vhost.randread_qd32_vs_qsd", "IOPS", "higher", 1.5,
       "4 KiB reads of a disk, 32 at a time, against qemu-storage-daemon on tmpfs",
       with(VIRTIO_BLK_T_IN, 32)},
      {"vhost.randwrite_qd32_vs_qsd", "IOPS", "higher", 1.5,
       "4 KiB writes to a disk, 32 at a time, against qemu-storage-daemon on tmpfs",
       with(VIRTIO_BLK_T_OUT, 32)},
      {"vhost.randread_qd1_vs_qsd", "IOPS", "higher", 1.2,
       "4 KiB reads of a disk, one at a time, against qemu-storage-daemon on tmpfs",
       with(VIRTIO_BLK_T_IN, 1)},
  };
}

}  // namespace fallow::bench
