#include "frontend/vhost_user/inflight_region.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <random>

#include "base/check.h"

namespace fallow::vhost_user {
namespace {

constexpr std::uint16_t kSize = 8;
using Heads = std::vector<std::uint16_t>;

// As in shared memory, for tests that play the hostile front end.
struct RawEntry {
  std::uint8_t inflight;
  std::uint8_t padding[5];
  std::uint16_t next;
  std::uint64_t counter;
};
struct RawQueue {
  std::uint64_t features;
  std::uint16_t version;
  std::uint16_t desc_num;
  std::uint16_t last_batch_head;
  std::uint16_t used_idx;
  RawEntry entries[kSize];
};

// A region's file, mapped twice: as a back end does, and raw.
class TestRegion {
 public:
  explicit TestRegion(InflightRegion::Shape shape = {2, kSize})
      : file(std::move(*InflightRegion::make_file(shape))),
        region(std::move(
            *InflightRegion::map(file.get(), 0, InflightRegion::size_bytes(shape), shape))),
        raw_(std::move(*Mapping::map_shared(file.get(), 0, InflightRegion::size_bytes(shape)))) {}

  [[nodiscard]] InflightLog log(std::uint32_t index = 0) const { return *region.log(index); }
  [[nodiscard]] RawQueue& raw() const { return *reinterpret_cast<RawQueue*>(raw_.data()); }
  // A log that has begun, with `used` 0.
  [[nodiscard]] InflightLog begun() const {
    InflightLog result = log();
    CHECK(result.recover(0, kSize).ok());
    return result;
  }
  // What a new life finds.
  [[nodiscard]] Heads found(std::uint16_t used) const {
    auto recovered = log().recover(used, kSize);
    EXPECT_TRUE(recovered.ok()) << recovered.error().text;
    EXPECT_TRUE(recovered->continued);
    return recovered->heads;
  }

  UniqueFd file;
  InflightRegion region;

 private:
  Mapping raw_;
};

TEST(InflightRegion, recover_newRegion_saysNothing) {
  const TestRegion test;
  const auto recovered = test.log().recover(7, kSize);
  ASSERT_TRUE(recovered.ok());
  EXPECT_FALSE(recovered->continued);
  EXPECT_EQ(test.raw().version, 1);
  EXPECT_EQ(test.raw().desc_num, kSize);
  EXPECT_EQ(test.raw().used_idx, 7);
}

TEST(InflightRegion, recover_headsInFlight_comeInTheOrderTheyWereTaken) {
  const TestRegion test;
  InflightLog log = test.begun();
  for (const std::uint16_t head : Heads{5, 2, 7, 0}) {
    log.take(head);
  }
  log.give_back(2);
  log.commit(1);
  EXPECT_EQ(test.found(1), (Heads{5, 7, 0}));
}

TEST(InflightRegion, recover_givenBackButNotShown_isStillInFlight) {
  const TestRegion test;
  InflightLog log = test.begun();
  log.take(3);
  log.take(1);
  log.give_back(3);
  EXPECT_EQ(test.found(0), (Heads{3, 1}));
}

TEST(InflightRegion, recover_shownButNotCommitted_isDone) {
  const TestRegion test;
  InflightLog log = test.begun();
  for (const std::uint16_t head : Heads{4, 6, 1}) {
    log.take(head);
  }
  log.give_back(1);
  log.give_back(4);
  EXPECT_EQ(test.found(2), (Heads{6}));
  EXPECT_EQ(test.found(2), (Heads{6}));  // and stays so
}

TEST(InflightRegion, recover_twice_keepsTheOrder) {
  const TestRegion test;
  test.begun().take(6);
  InflightLog second = test.log();
  ASSERT_TRUE(second.recover(0, kSize).ok());
  second.take(2);
  EXPECT_EQ(test.found(0), (Heads{6, 2}));
}

TEST(InflightRegion, recover_wrappedUsedIndex_isUnderstood) {
  const TestRegion test;
  InflightLog log = test.log();
  ASSERT_TRUE(log.recover(65535, kSize).ok());
  log.take(0);
  log.take(1);
  log.give_back(0);
  log.give_back(1);
  EXPECT_EQ(test.found(1), Heads{});
}

TEST(InflightRegion, log_ofEachQueue_isItsOwn) {
  const TestRegion test;
  InflightLog other = test.log(1);
  ASSERT_TRUE(other.recover(0, kSize).ok());
  other.take(3);
  EXPECT_EQ(test.raw().version, 0);
  EXPECT_FALSE(test.region.log(2).ok());
}

// What a hostile front end may have written.

TEST(InflightRegion, recover_listThatLoops_ends) {
  const TestRegion test;
  [[maybe_unused]] const InflightLog log = test.begun();
  test.raw().entries[3].next = 3;
  test.raw().last_batch_head = 3;
  EXPECT_EQ(test.found(kSize), Heads{});
}

TEST(InflightRegion, recover_nonsense_isRefused) {
  const auto refused = [](const std::function<void(RawQueue&)>& spoil, std::uint16_t used = 1,
                          std::uint16_t ring_size = kSize) {
    const TestRegion test;
    [[maybe_unused]] const InflightLog log = test.begun();
    spoil(test.raw());
    return !test.log().recover(used, ring_size).ok();
  };
  EXPECT_FALSE(refused([](RawQueue&) {}));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.version = 2; }));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.features = 1; }));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.desc_num = kSize + 1; }));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.last_batch_head = kSize; }));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.entries[0].next = 60000; }, 2));
  EXPECT_TRUE(refused([](RawQueue&) {}, kSize + 1));
  EXPECT_TRUE(refused([](RawQueue& raw) { raw.entries[5].inflight = 1; }, 1, 4));
  EXPECT_TRUE(refused([](RawQueue&) {}, 1, 2 * kSize));
}

TEST(InflightRegion, map_badShapesAndFiles_areRefused) {
  const TestRegion test;
  const std::uint64_t size = InflightRegion::size_bytes({2, kSize});
  const auto refused = [&](std::uint64_t offset, std::uint64_t bytes, InflightRegion::Shape shape) {
    return !InflightRegion::map(test.file.get(), offset, bytes, shape).ok();
  };
  EXPECT_FALSE(refused(0, size, {2, kSize}));
  EXPECT_TRUE(refused(0, size, {0, kSize}));
  EXPECT_TRUE(refused(0, size, {2, 0}));
  EXPECT_TRUE(refused(0, size, {257, kSize}));
  EXPECT_TRUE(refused(0, UINT64_MAX, {2, 1025}));
  EXPECT_TRUE(refused(0, size, {256, 1024}));
  EXPECT_TRUE(refused(0, UINT64_MAX, {256, 1024}));  // past the end of the file
  EXPECT_TRUE(refused(4096, size, {2, kSize}));
  EXPECT_TRUE(refused(1, size, {2, kSize}));
}

TEST(InflightRegion, makeFile_canNeitherShrinkNorGrow) {
  const TestRegion test;
  EXPECT_NE(::ftruncate(test.file.get(), 0), 0);
  EXPECT_NE(::ftruncate(test.file.get(), 1 << 20), 0);
}

// Death at any instruction.

// Runs `work` in a process of its own, one instruction at a time, and calls `look` after each.
// False when processes may not be traced here.
bool step_through(const std::function<void()>& work, const std::function<void()>& look) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
      ::_exit(2);
    }
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    look();
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) {
      ::kill(child, SIGKILL);
    }
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The part of guest memory that matters, and what an honest witness would have noted down.
struct SharedRing {
  static constexpr std::size_t kNotesMax = 256;
  std::uint16_t available = 0;
  std::uint16_t used = 0;
  std::uint16_t posted[kNotesMax] = {};    // heads, in the order of the available ring
  std::uint16_t returned[kNotesMax] = {};  // heads, in the order of the used ring
};

// Driver and device at random: heads are posted, taken, given back out of order and in batches.
class Life {
 public:
  Life(volatile SharedRing& ring, InflightLog log) : ring_(ring), log_(std::move(log)) {}

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) {
      post();
      take();
      give_back();
      if (random_() % 2 == 0) {
        show();
      }
    }
  }

 private:
  void post() {
    for (std::uint16_t head = 0; head < kSize; ++head) {
      if (free_[head] && random_() % 2 == 0) {
        free_[head] = false;
        ring_.posted[ring_.available] = head;
        ring_.available = static_cast<std::uint16_t>(ring_.available + 1);
      }
    }
  }
  void take() {
    while (next_ != ring_.available && random_() % 4 != 0) {
      const std::uint16_t head = ring_.posted[next_++];
      log_.take(head);
      working_.push_back(head);
    }
  }
  void give_back() {
    while (!working_.empty() && random_() % 3 != 0) {
      const auto at = working_.begin() + static_cast<std::ptrdiff_t>(random_() % working_.size());
      ring_.returned[returned_++] = *at;
      log_.give_back(*at);
      working_.erase(at);
    }
  }
  void show() {
    const std::uint16_t before = ring_.used;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ring_.used = returned_;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    log_.commit(returned_);
    for (std::uint16_t i = before; i < returned_; ++i) {
      free_[ring_.returned[i]] = true;
    }
  }

  volatile SharedRing& ring_;
  InflightLog log_;
  std::minstd_rand random_{3};
  std::array<bool, kSize> free_{true, true, true, true, true, true, true, true};
  Heads working_;
  std::uint16_t next_ = 0;
  std::uint16_t returned_ = 0;
};

// The heads that the driver sees as used and those in flight are together the first ones that it
// posted, and what is in flight comes in its old order.
void expect_nothing_lost_or_doubled(const SharedRing& ring, const Heads& in_flight) {
  const std::size_t next = ring.used + in_flight.size();
  ASSERT_LE(next, ring.available);
  Heads taken(ring.posted, ring.posted + next);
  Heads accounted(ring.returned, ring.returned + ring.used);
  accounted.insert(accounted.end(), in_flight.begin(), in_flight.end());
  std::size_t last = 0;
  for (const std::uint16_t head : in_flight) {
    const auto latest = std::find(taken.rbegin(), taken.rend(), head);
    const auto at = static_cast<std::size_t>(taken.rend() - latest);
    ASSERT_GT(at, last);
    last = at;
  }
  std::sort(taken.begin(), taken.end());
  std::sort(accounted.begin(), accounted.end());
  ASSERT_EQ(taken, accounted);
}

TEST(InflightRegion, killAtAnyInstruction_neitherLosesNorDoublesARequest) {
  const TestRegion live, copy;
  const Mapping shared = std::move(*Mapping::map_shared(UniqueFd([] {
                                                          const int fd =
                                                              ::memfd_create("ring", MFD_CLOEXEC);
                                                          CHECK(::ftruncate(fd, 4096) == 0);
                                                          return fd;
                                                        }())
                                                            .get(),
                                                        0, 4096));
  auto* ring = new (shared.data()) SharedRing;
  InflightLog log = live.begun();
  RawQueue seen{};
  SharedRing ring_seen;
  unsigned cuts = 0;
  const bool traced = step_through(
      [&] { Life(*ring, std::move(log)).run(10); },
      [&] {
        if (std::memcmp(&seen, &live.raw(), sizeof seen) == 0 && ring_seen.used == ring->used) {
          return;  // a death here is the same as one instruction earlier
        }
        std::memcpy(&seen, &live.raw(), sizeof seen);
        std::memcpy(&ring_seen, ring, sizeof ring_seen);
        std::memcpy(&copy.raw(), &seen, sizeof seen);
        ASSERT_NO_FATAL_FAILURE(
            expect_nothing_lost_or_doubled(ring_seen, copy.found(ring_seen.used)));
        ++cuts;
      });
  if (!traced) {
    GTEST_SKIP() << "processes cannot be traced here";
  }
  EXPECT_GT(cuts, 50u);
  EXPECT_GT(ring->used, 10);
}

TEST(InflightRegion, killWhileRecovering_canBeRecoveredFrom) {
  const TestRegion live, copy;
  InflightLog log = live.begun();
  for (const std::uint16_t head : Heads{1, 7, 3, 0, 2}) {
    log.take(head);
  }
  for (const std::uint16_t head : Heads{7, 0, 1}) {
    log.give_back(head);
  }
  InflightLog next = live.log();
  const bool traced = step_through([&] { CHECK(next.recover(3, kSize).ok()); },
                                   [&] {
                                     std::memcpy(&copy.raw(), &live.raw(), sizeof(RawQueue));
                                     ASSERT_EQ(copy.found(3), (Heads{3, 2}));
                                   });
  if (!traced) {
    GTEST_SKIP() << "processes cannot be traced here";
  }
}

}  // namespace
}  // namespace fallow::vhost_user
