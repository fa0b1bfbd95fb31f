// A region of the library against the least that answers a page fault: a thread that sleeps in
// poll(), reads the fault and copies a page. One thread faults, at random places, so that nothing
// is brought in ahead.

#include <fallow/region.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "bench/bench_case.h"
#include "bench/own_daemon.h"
#include "pager/userfault.h"

namespace fallow::bench {
namespace {

constexpr unsigned kRounds = 5;

using pager::UserFault;

std::vector<std::uint32_t> random_order(std::size_t pages) {
  std::vector<std::uint32_t> order(pages);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  return order;
}

// Microseconds a page, reading each once.
double touch(const std::byte* memory, const std::vector<std::uint32_t>& order) {
  const SystemClock clock;
  const std::uint64_t start_ns = clock.now_ns();
  for (const std::uint32_t page : order) {
    const volatile std::byte* at = memory + std::size_t{page} * kPageSize;
    (void)*at;
  }
  return static_cast<double>(clock.now_ns() - start_ns) / 1e3 / static_cast<double>(order.size());
}

class BareLoop {
 public:
  enum class Waits { kSleeping, kLooking };
  BareLoop(std::size_t pages, Waits waits)
      : memory_(std::move(*Mapping::anonymous(pages * kPageSize))),
        page_(std::move(*Mapping::anonymous(kPageSize))),
        faults_(std::move(*UserFault::create())) {
    std::memset(page_.data(), 1, kPageSize);
    CHECK(faults_.watch(reinterpret_cast<std::uint64_t>(memory_.data()), memory_.size(), false) ==
          0);
    thread_ = std::thread([this, waits] { serve(waits); });
  }
  ~BareLoop() {
    stop_ = true;
    thread_.join();
  }
  BareLoop(const BareLoop&) = delete;
  BareLoop& operator=(const BareLoop&) = delete;

  double run(const std::vector<std::uint32_t>& order) {
    CHECK(::madvise(memory_.data(), memory_.size(), MADV_DONTNEED) == 0);
    return touch(memory_.data(), order);
  }

 private:
  void serve(Waits waits) {
    while (!stop_) {
      if (waits == Waits::kSleeping) {
        pollfd ready{faults_.fd(), POLLIN, 0};
        (void)::poll(&ready, 1, 100);
      }
      uffd_msg message{};
      if (faults_.read({&message, 1}) == 1) {
        std::uint64_t filled = 0;
        faults_.fill(message.arg.pagefault.address & ~(kPageSize - 1), page_.data(), kPageSize,
                     false, filled);
      }
    }
  }

  const Mapping memory_;
  const Mapping page_;
  const UserFault faults_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class PagedRegion {
 public:
  PagedRegion(const OwnDaemon& daemon, std::size_t pages) {
    const std::string socket = daemon.ring_socket();
    fallow_region_options options{};
    options.size = sizeof options;
    options.socket = socket.c_str();
    options.name = "bench";
    CHECK(fallow_region_create(pages * kPageSize, pages * kPageSize, &options, &region_) == 0);
    std::mt19937_64 random(2);
    for (std::size_t i = 0; i < pages * kPageSize / 8; ++i) {
      reinterpret_cast<std::uint64_t*>(memory())[i] = random();
    }
  }
  ~PagedRegion() { fallow_region_destroy(region_); }
  PagedRegion(const PagedRegion&) = delete;
  PagedRegion& operator=(const PagedRegion&) = delete;

  [[nodiscard]] std::byte* memory() const {
    return static_cast<std::byte*>(fallow_region_memory(region_));
  }
  // Sends all but a few pages away; then so many may be in RAM.
  void set_room(std::size_t pages) {
    constexpr std::size_t kLeast = std::size_t{1} << 20;
    CHECK(fallow_region_set_ram_limit(region_, kLeast) == 0);
    fallow_region_statistics now{};
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      CHECK(fallow_region_get_statistics(region_, &now) == 0);
    } while (now.resident > kLeast);
    CHECK(fallow_region_set_ram_limit(region_, pages * kPageSize) == 0);
  }

 private:
  fallow_region* region_ = nullptr;
};

Result run(const Case& what, const Settings& settings, BareLoop::Waits waits, bool evict) {
  const std::size_t pages = settings.length == Settings::Length::kQuick ? 4096 : 32768;
  const OwnDaemon daemon({"256M"});
  const std::vector<std::uint32_t> order = random_order(pages);
  BareLoop bare(pages, waits);
  PagedRegion region(daemon, pages);
  region.set_room(evict ? 512 : pages);
  return measure_in_turn(
      what, kRounds,
      [&] {
        if (!evict) {
          region.set_room(pages);
        }
        return touch(region.memory(), order);
      },
      [&] { return bare.run(order); });
}

Case make(const char* name, double promised, const char* about, BareLoop::Waits waits, bool evict) {
  Case made{name, "us", "lower", promised, about, {}};
  if (promised == 0) {
    made.promised.reset();
  }
  made.run = [waits, evict](const Case& what, const Settings& settings) {
    return run(what, settings, waits, evict);
  };
  return made;
}

}  // namespace

std::vector<Case> pager_cases() {
  using Waits = BareLoop::Waits;
  return {
      make(
          "pager.fault_vs_bare", 1.25,
          "a fault on a page that the daemon has, with room, against a bare loop of poll, read and "
          "UFFDIO_COPY",
          Waits::kSleeping, false),
      make("pager.fault_evict_vs_bare", 2.0, "the same where every fault makes a page leave",
           Waits::kSleeping, true),
      make("pager.fault_vs_looking", 0,
           "the same with room, against a bare loop that never sleeps: a report", Waits::kLooking,
           false),
  };
}

}  // namespace fallow::bench
