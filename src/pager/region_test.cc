#include <fallow/region.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/temp_dir.h"
#include "frontend/ring/test_node.h"

namespace fallow::pager {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kWords = kPageSize / 8;

struct Destroy {
  void operator()(fallow_region* region) const { fallow_region_destroy(region); }
};
using OwnedRegion = std::unique_ptr<fallow_region, Destroy>;

OwnedRegion make(std::size_t bytes, std::size_t ram, fallow_region_options options) {
  options.size = sizeof options;
  fallow_region* region = nullptr;
  EXPECT_EQ(fallow_region_create(bytes, ram, &options, &region), 0) << fallow_error();
  return OwnedRegion(region);
}

OwnedRegion make_with_file(std::size_t bytes, std::size_t ram) {
  fallow_region_options options{};
  options.no_daemon = 1;
  return make(bytes, ram, options);
}

fallow_region_statistics statistics(const OwnedRegion& region) {
  fallow_region_statistics now{};
  EXPECT_EQ(fallow_region_get_statistics(region.get(), &now), 0);
  return now;
}

volatile std::uint64_t* words(const OwnedRegion& region) {
  return static_cast<volatile std::uint64_t*>(fallow_region_memory(region.get()));
}

// A model beside the memory: what each page's word must be, at a place that moves.
void write_and_check_at_random(volatile std::uint64_t* memory, std::size_t pages, unsigned seed,
                               unsigned steps) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> model(pages, 0);
  for (unsigned step = 0; step < steps; ++step) {
    const std::size_t page = random() % pages;
    const std::size_t word = page * kWords + page * 7 % kWords;
    ASSERT_EQ(memory[word], model[page]) << "page " << page << " step " << step;
    ASSERT_EQ(memory[page * kWords + (page * 7 + 1) % kWords], model[page] * 3);
    if (random() % 2 == 0) {
      model[page] = random();
      memory[word] = model[page];
      memory[page * kWords + (page * 7 + 1) % kWords] = model[page] * 3;
    }
  }
}

TEST(RegionTest, isZerosAtFirst) {
  const OwnedRegion region = make_with_file(4 * kMiB, kMiB);
  for (std::size_t i = 0; i < 4 * kMiB / 8; i += 100) {
    ASSERT_EQ(words(region)[i], 0u);
  }
}

TEST(RegionTest, keepsWhatIsWrittenThoughLittleOfItIsInRam) {
  const OwnedRegion region = make_with_file(16 * kMiB, 2 * kMiB);
  volatile std::uint64_t* memory = words(region);
  for (std::size_t i = 0; i < 16 * kMiB / 8; ++i) {
    memory[i] = i * 0x9e3779b97f4a7c15;
  }
  for (std::size_t i = 0; i < 16 * kMiB / 8; ++i) {
    ASSERT_EQ(memory[i], i * 0x9e3779b97f4a7c15);
  }
  const auto now = statistics(region);
  EXPECT_LE(now.resident, now.ram_limit);
  EXPECT_EQ(now.faults_zero + now.prefetched >= 16 * kMiB / kPageSize, true);
  EXPECT_GT(now.evictions, 14 * kMiB / kPageSize);
  EXPECT_GT(now.evictions_clean, 0u);
  EXPECT_GT(now.prefetch_hits, now.prefetched / 2);
  EXPECT_EQ(now.failures, 0u);
}

TEST(RegionTest, agreesWithAModel) {
  const OwnedRegion region = make_with_file(8 * kMiB, kMiB);
  write_and_check_at_random(words(region), 2048, 1, 60'000);
  const auto now = statistics(region);
  EXPECT_LE(now.prefetch_hits, now.prefetched);
}

TEST(RegionTest, isWrittenByManyThreads) {
  constexpr std::size_t kThreads = 4;
  const OwnedRegion region = make_with_file(8 * kMiB, kMiB);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&region, i] {
      write_and_check_at_random(words(region) + i * 512 * kWords, 512, i, 20'000);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// Threads that write to words of the same pages: nobody's write is lost to an eviction.
TEST(RegionTest, losesNoWriteToAPageThatIsLeaving) {
  const OwnedRegion region = make_with_file(4 * kMiB, kMiB);
  volatile std::uint64_t* memory = words(region);
  const auto count = [memory](std::size_t offset) {
    for (unsigned round = 1; round <= 40; ++round) {
      for (std::size_t page = 0; page < 1024; ++page) {
        volatile std::uint64_t& word = memory[page * kWords + offset];
        ASSERT_EQ(word, round - 1) << "page " << page;
        word = round;
      }
    }
  };
  std::thread one(count, 1);
  std::thread two(count, 300);
  one.join();
  two.join();
}

TEST(RegionTest, followsItsRamLimit) {
  const OwnedRegion region = make_with_file(8 * kMiB, 6 * kMiB);
  for (std::size_t page = 0; page < 1024; ++page) {
    words(region)[page * kWords] = page + 1;
  }
  const fallow_region_statistics before = statistics(region);
  EXPECT_EQ(before.evictions, before.evictions_probe);
  ASSERT_EQ(fallow_region_set_ram_limit(region.get(), kMiB), 0);
  while (statistics(region).resident > kMiB) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(fallow_region_set_ram_limit(region.get(), 8 * kMiB), 0);
  for (std::size_t page = 0; page < 1024; ++page) {
    ASSERT_EQ(words(region)[page * kWords], page + 1);
  }
  EXPECT_GE(statistics(region).resident, 3 * kMiB);
  EXPECT_EQ(fallow_region_set_ram_limit(region.get(), 0), -EINVAL);
}

TEST(RegionTest, isReadAndWrittenByTheKernel) {
  const OwnedRegion region = make_with_file(4 * kMiB, kMiB);
  auto* bytes = static_cast<char*>(fallow_region_memory(region.get()));
  TempDir dir;
  const std::string path = dir.path() + "/file";
  const UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR, 0600));
  for (std::size_t i = 0; i < 4 * kMiB; ++i) {
    bytes[i] = static_cast<char>(i % 251);
  }
  ASSERT_EQ(::pwrite(file.get(), bytes, 4 * kMiB, 0), static_cast<ssize_t>(4 * kMiB));
  std::memset(bytes, 0, 4 * kMiB);
  ASSERT_EQ(::pread(file.get(), bytes, 4 * kMiB, 0), static_cast<ssize_t>(4 * kMiB));
  for (std::size_t i = 0; i < 4 * kMiB; ++i) {
    ASSERT_EQ(bytes[i], static_cast<char>(i % 251));
  }
}

TEST(RegionTest, readsZerosAfterMadviseDontneed) {
  const OwnedRegion region = make_with_file(2 * kMiB, 2 * kMiB);
  volatile std::uint64_t* memory = words(region);
  memory[kWords] = 5;
  auto* at = static_cast<std::byte*>(fallow_region_memory(region.get())) + kPageSize;
  ASSERT_EQ(::madvise(at, kPageSize, MADV_DONTNEED), 0);
  EXPECT_EQ(memory[kWords], 0u);
  memory[kWords] = 6;
  EXPECT_EQ(memory[kWords], 6u);
}

// Pages that were only read leave without being copied, but not what was given back since.
TEST(RegionTest, keepsNothingOfPagesThatWereGivenBackBeforeTheyLeft) {
  constexpr std::size_t kGivenBack = 256;
  const OwnedRegion region = make_with_file(8 * kMiB, kMiB);
  volatile std::uint64_t* memory = words(region);
  for (std::size_t page = 0; page < 2048; ++page) {
    memory[page * kWords] = page + 1;
  }
  ASSERT_EQ(fallow_region_set_ram_limit(region.get(), 8 * kMiB), 0);
  const std::uint64_t before = statistics(region).evictions;
  for (std::size_t page = 0; page < kGivenBack; ++page) {
    ASSERT_EQ(memory[page * kWords], page + 1);
  }
  ASSERT_EQ(::madvise(fallow_region_memory(region.get()), kGivenBack * kPageSize, MADV_DONTNEED),
            0);
  const std::uint64_t left = statistics(region).evictions - before;
  ASSERT_EQ(fallow_region_set_ram_limit(region.get(), kMiB), 0);
  for (std::size_t page = kGivenBack; page < 2048; ++page) {
    ASSERT_EQ(memory[page * kWords], page + 1);
  }
  std::uint64_t kept = 0;
  for (std::size_t page = 0; page < kGivenBack; ++page) {
    const std::uint64_t word = memory[page * kWords];
    ASSERT_TRUE(word == 0 || word == page + 1);
    kept += word != 0;
  }
  EXPECT_LE(kept, left);  // by then
  EXPECT_EQ(statistics(region).failures, 0u);
}

// Pages are written to while a slow disk is to take them, which calls them off.
TEST(RegionTest, isDestroyedWhileAPageThatWasToLeaveDoesNot) {
  fallow_region_options options{};
  options.no_daemon = 1;
  options.backing_speed = "latency=300ms,bandwidth=100M";
  OwnedRegion region = make(2 * kMiB, kMiB, options);
  volatile std::uint64_t* memory = words(region);
  std::uint64_t written = 0;
  for (std::size_t page = 1; statistics(region).evictions == 0 && page < 256; ++page) {
    memory[page * kWords] = page;
  }
  while (statistics(region).faults_write == 0) {
    ++written;
    for (std::size_t page = 1; page < 128; ++page) {
      memory[page * kWords] = written;
    }
  }
  EXPECT_EQ(memory[kWords], written);
  region.reset();
}

// Several threads' faults on the same pages are answered once, and some are read too late to
// matter.
TEST(RegionTest, isDestroyedJustAfterManyThreadsHaveFaulted) {
  for (unsigned round = 0; round < 50; ++round) {
    fallow_region_options options{};
    options.no_daemon = 1;
    options.handlers = 4;
    const OwnedRegion region = make(4 * kMiB, kMiB, options);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 6; ++i) {
      threads.emplace_back([memory = words(region), i, round] {
        for (std::size_t page = round; page < 700 + round; ++page) {
          memory[page * kWords + i] = i + 1;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    ASSERT_EQ(statistics(region).failures, 0u);
  }
}

sigjmp_buf jump;
void on_bus_error(int /*signal*/) {
  siglongjmp(jump, 1);
}

TEST(RegionTest, givesSigbusWhereThereIsNoRoomLeftAnywhere) {
  set_log_level(LogLevel::kError);
  fallow_region_options options{};
  options.no_daemon = 1;
  options.backing_max = 2 * kMiB;
  const OwnedRegion region = make(16 * kMiB, kMiB, options);
  volatile std::uint64_t* memory = words(region);
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = on_bus_error;
  ASSERT_EQ(::sigaction(SIGBUS, &action, &before), 0);
  static std::size_t page;  // outlives the jump
  page = 0;
  for (; page < 4096 && sigsetjmp(jump, 1) == 0; ++page) {
    const std::uint64_t value = page + 1;
    memory[page * kWords] = value;
  }
  const std::size_t refused = page;
  EXPECT_GE(refused, 2 * kMiB / kPageSize);
  EXPECT_LE(refused, 3 * kMiB / kPageSize + 1);
  EXPECT_GE(statistics(region).failures, 1u);
  // That page alone: what was there before still is, wherever it was.
  for (page = 0; page < refused && sigsetjmp(jump, 1) == 0; ++page) {
    ASSERT_EQ(memory[page * kWords], page + 1);
  }
  EXPECT_EQ(page, refused);
  EXPECT_LE(statistics(region).resident, kMiB + 16 * kPageSize);
  ::sigaction(SIGBUS, &before, nullptr);
}

TEST(RegionTest, isNotThereInAForkedProcess) {
  const OwnedRegion region = make_with_file(kMiB, kMiB);
  words(region)[0] = 1;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    ::sigaction(SIGSEGV, &action, nullptr);
    _exit(words(region)[0] == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) > 1) << status;  // sanitizers exit
  EXPECT_EQ(words(region)[0], 1u);
}

TEST(RegionTest, refusesWhatCannotBe) {
  fallow_region* region = nullptr;
  fallow_region_options options{};
  options.size = sizeof options;
  options.no_daemon = 1;
  EXPECT_EQ(fallow_region_create(0, kMiB, &options, &region), -EINVAL);
  EXPECT_EQ(fallow_region_create(4097, kMiB, &options, &region), -EINVAL);
  EXPECT_EQ(fallow_region_create(kMiB, kMiB - 1, &options, &region), -EINVAL);
  EXPECT_STREQ(fallow_error(),
               "a RAM limit of 1020 KiB is too small to work with: give at least 1 MiB");
  options.handlers = 17;
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), -EINVAL);
  options.handlers = 0;
  options.size = 8;
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), -EINVAL);
  options.size = sizeof options;
  options.backing_speed = "tape";
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), -EINVAL);
  EXPECT_NE(std::string(fallow_error()).find("disk speed 'tape' is unknown"), std::string::npos);
  options.backing_speed = nullptr;
  options.backing = "/proc/nowhere";
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), -EINVAL);
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, nullptr, nullptr), -EINVAL);
  options.backing = nullptr;
  options.no_daemon = 0;
  options.socket = "/nowhere/ring.sock";
  EXPECT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), -ENOTCONN);
  fallow_region_destroy(nullptr);
}

TEST(RegionTest, takesOptionsOfAnEarlierVersion) {
  fallow_region* region = nullptr;
  fallow_region_options options{};
  options.size = offsetof(fallow_region_options, backing_speed);
  options.no_daemon = 1;
  options.backing_speed = "tape";  // which such a program does not have
  ASSERT_EQ(fallow_region_create(kMiB, kMiB, &options, &region), 0) << fallow_error();
  fallow_region_destroy(region);
}

TEST(RegionTest, keepsWhatIsWrittenOnASlowDisk) {
  fallow_region_options options{};
  options.no_daemon = 1;
  options.backing_speed = "latency=1ms,bandwidth=100M";
  const OwnedRegion region = make(4 * kMiB, kMiB, options);
  write_and_check_at_random(words(region), 1024, 6, 600);
}

// With a real ring server over a real store.
class RegionOnANodeTest : public testing::Test {
 protected:
  OwnedRegion make_region(std::size_t bytes, std::size_t ram) {
    const std::string path = node_.path();
    fallow_region_options options{};
    options.socket = path.c_str();
    options.name = "region";
    return make(bytes, ram, options);
  }
  // False: it did not come to that.
  template <typename Condition>
  static bool comes_to(Condition holds) {
    for (int i = 0; i < 10'000 && !holds(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return holds();
  }
  ring::TestNode node_;  // 1024 frames, of which a client may have half
};

TEST_F(RegionOnANodeTest, movesPagesToTheFileWhenItsTargetFalls) {
  const OwnedRegion region = make_region(3 * kMiB, kMiB);
  volatile std::uint64_t* memory = words(region);
  for (std::size_t page = 0; page < 768; ++page) {
    memory[page * kWords] = page * 3 + 1;
    memory[page * kWords + 1] = page;
  }
  ASSERT_GT(statistics(region).in_fallow, kMiB);
  node_.host.set_targets(100);
  EXPECT_TRUE(comes_to([&] { return statistics(region).in_fallow <= 100 * kPageSize; }));
  EXPECT_GT(statistics(region).in_backing, kMiB);
  node_.host.set_targets(0);
  EXPECT_TRUE(comes_to([&] { return statistics(region).in_fallow == 0; }));
  // What the daemon does not have any more, it does not hold, but for a spare frame a shard.
  EXPECT_TRUE(comes_to([&] { return node_.store->free_frames() >= 1024 - 64; }));
  for (std::size_t page = 0; page < 768; ++page) {
    ASSERT_EQ(memory[page * kWords], page * 3 + 1);
    ASSERT_EQ(memory[page * kWords + 1], page);
  }
  EXPECT_EQ(statistics(region).failures, 0u);
}

TEST_F(RegionOnANodeTest, movesPagesToTheDaemonWhenItsTargetRises) {
  const OwnedRegion region = make_region(2 * kMiB, kMiB);
  node_.host.set_targets(0);
  volatile std::uint64_t* memory = words(region);
  for (std::size_t page = 0; page < 512; ++page) {
    memory[page * kWords] = page * 3 + 1;
    memory[page * kWords + 1] = page;
  }
  ASSERT_EQ(statistics(region).in_fallow, 0u);
  const std::uint64_t before = statistics(region).in_backing;
  ASSERT_GT(before, 0u);
  node_.host.set_targets(800);
  // Pages that are only read, and leave as they came.
  EXPECT_TRUE(comes_to([&] {
    for (std::size_t page = 0; page < 512; ++page) {
      EXPECT_EQ(memory[page * kWords], page * 3 + 1);
      EXPECT_EQ(memory[page * kWords + 1], page);
    }
    return statistics(region).in_backing < before / 4;
  }));
  EXPECT_GT(statistics(region).in_fallow, kMiB / 2);
}

TEST_F(RegionOnANodeTest, keepsItsContentWhileItsTargetGoesUpAndDown) {
  const OwnedRegion region = make_region(3 * kMiB, kMiB);
  std::atomic<bool> done{false};
  std::thread turning([&] {
    for (std::uint64_t i = 0; !done; ++i) {
      node_.host.set_targets(std::array<std::uint64_t, 4>{700, 50, 300, 0}[i % 4]);
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
  });
  std::vector<std::thread> writers;
  for (unsigned i = 0; i < 3; ++i) {
    writers.emplace_back([&region, i] {
      write_and_check_at_random(words(region) + i * 256 * kWords, 256, i, 6'000);
    });
  }
  for (std::thread& thread : writers) {
    thread.join();
  }
  done = true;
  turning.join();
  EXPECT_EQ(statistics(region).failures, 0u);
}

TEST_F(RegionOnANodeTest, keepsPagesWithTheDaemonAndTheRestInTheFile) {
  const OwnedRegion region = make_region(6 * kMiB, kMiB);
  write_and_check_at_random(words(region), 1536, 3, 40'000);
  const auto now = statistics(region);
  EXPECT_GT(now.in_fallow, 0u);
  EXPECT_LE(now.in_fallow, 2 * kMiB);
  EXPECT_GT(now.in_backing, 0u);
  EXPECT_EQ(now.failures, 0u);
  EXPECT_LE(now.prefetch_hits, now.prefetched);
}

TEST_F(RegionOnANodeTest, leavesNothingWithTheDaemon) {
  OwnedRegion region = make_region(2 * kMiB, kMiB);
  for (std::size_t page = 0; page < 512; ++page) {
    words(region)[page * kWords + 1] = page * 77 + 1;
    words(region)[page * kWords + 2] = page;
  }
  EXPECT_GT(statistics(region).in_fallow, 0u);
  region.reset();
  for (int i = 0; i < 1000 && node_.host.clients() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(node_.host.clients(), 0u);
}

}  // namespace
}  // namespace fallow::pager
