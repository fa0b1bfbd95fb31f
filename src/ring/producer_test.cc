#include "ring/producer.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>

#include "ring/queue_pair.h"

namespace fallow::ring {
namespace {

constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

// Both sides of a queue pair, each with a mapping of its own.
struct Pair {
  explicit Pair(std::uint32_t entries) : daemon(std::move(*QueuePair::create(entries))) {
    auto memory = Mapping::map_shared(daemon.memory_fd(), 0, queue_bytes(entries));
    client = std::move(*Producer::create(std::move(*memory), UniqueFd(::dup(daemon.doorbell_fd())),
                                         entries, clock));
  }

  // Answers every entry with its user data and `index` as the value.
  void serve() {
    Submission entry;
    while (daemon.take(entry) == QueuePair::Take::kEntry) {
      daemon.complete({entry.user_data, 0, entry.index});
    }
    daemon.publish();
  }

  SystemClock clock;
  QueuePair daemon;
  std::unique_ptr<Producer> client;
};

Submission numbered(std::uint32_t number) {
  Submission entry{};
  entry.opcode = Opcode::kGet;
  entry.user_data = std::uint64_t{number} << 32;
  entry.index = number;
  return entry;
}

TEST(Producer, Create_wrongShape_isRefused) {
  SystemClock clock;
  const auto memory = [] {
    const UniqueFd file(::memfd_create("queue", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), 8192), 0);
    return std::move(*Mapping::map_shared(file.get(), 0, 8192));
  };
  EXPECT_FALSE(Producer::create(memory(), UniqueFd(), 3, clock));
  EXPECT_FALSE(Producer::create(memory(), UniqueFd(), 0, clock));
  EXPECT_FALSE(Producer::create(memory(), UniqueFd(), 2048, clock));
  EXPECT_FALSE(Producer::create(memory(), UniqueFd(), 128, clock));  // the memory is too short
  EXPECT_TRUE(Producer::create(memory(), UniqueFd(), 32, clock));
}

TEST(Producer, Push_unseenUntilPublished) {
  Pair pair(4);
  pair.client->push(numbered(7));
  Submission entry;
  EXPECT_EQ(pair.daemon.take(entry), QueuePair::Take::kEmpty);
  pair.client->publish();
  ASSERT_EQ(pair.daemon.take(entry), QueuePair::Take::kEntry);
  EXPECT_EQ(entry.index, 7u);
  EXPECT_EQ(pair.client->in_flight(), 1u);
}

TEST(Producer, Take_roundAfterRound_givesCompletionsInOrder) {
  Pair pair(8);
  std::uint32_t pushed = 0;
  std::uint32_t taken = 0;
  for (int round = 0; round < 1000; ++round) {
    while (!pair.client->full()) {
      pair.client->push(numbered(pushed++));
    }
    pair.client->publish();
    pair.serve();
    Completion completions[5];
    const int count = pair.client->take(completions, 5);
    ASSERT_EQ(count, 5);
    for (const Completion& one : completions) {
      ASSERT_EQ(one.value, taken);
      ASSERT_EQ(one.user_data, std::uint64_t{taken} << 32);
      ++taken;
    }
  }
  EXPECT_EQ(pair.daemon.why(), nullptr);
}

TEST(Producer, Publish_daemonAsleep_ringsTheDoorbell) {
  Pair pair(4);
  ASSERT_TRUE(pair.daemon.fall_asleep());
  pair.client->push(numbered(1));
  pair.client->publish();
  std::uint64_t rings = 0;
  ASSERT_EQ(::read(pair.daemon.doorbell_fd(), &rings, sizeof rings), 8);
  EXPECT_EQ(rings, 1u);
}

TEST(Producer, Publish_daemonAwake_leavesTheDoorbellAlone) {
  Pair pair(4);
  pair.client->push(numbered(1));
  pair.client->publish();
  std::uint64_t rings = 0;
  EXPECT_LT(::read(pair.daemon.doorbell_fd(), &rings, sizeof rings), 0);
}

TEST(Producer, Take_impossibleIndex_isNegative) {
  Pair pair(4);
  auto memory = Mapping::map_shared(pair.daemon.memory_fd(), 0, queue_bytes(4));
  auto& head = *reinterpret_cast<QueueHead*>(memory->data());
  Completion completion;
  for (const std::uint32_t completed : {1u, 5u, 0xffffffffu}) {
    head.daemon.completed = completed;
    EXPECT_LT(pair.client->take(&completion, 1), 0) << completed;
  }
  pair.client->push(numbered(1));
  pair.client->publish();
  head.daemon.completed = 2;
  EXPECT_LT(pair.client->take(&completion, 1), 0);
}

TEST(Producer, Wait_nothingComes_timesOut) {
  Pair pair(4);
  EXPECT_EQ(pair.client->wait(0), Producer::Wait::kTimeout);
  EXPECT_EQ(pair.client->wait(1'000'000), Producer::Wait::kTimeout);
}

TEST(Producer, Wait_completionThere_returnsAtOnce) {
  Pair pair(4);
  pair.client->push(numbered(1));
  pair.client->publish();
  pair.serve();
  EXPECT_EQ(pair.client->wait(0), Producer::Wait::kCompletion);
}

// A daemon that sleeps on its doorbell whenever it has nothing to do, and a client that waits for
// every single completion: each side wakes the other, and none is forgotten.
TEST(Producer, Wait_againstASleepyDaemon_missesNoWakeUp) {
  Pair pair(4);
  constexpr std::uint32_t kRounds = 3000;
  std::thread daemon([&pair] {
    for (std::uint32_t served = 0; served < kRounds;) {
      Submission entry;
      while (pair.daemon.take(entry) == QueuePair::Take::kEntry) {
        pair.daemon.complete({entry.user_data, 0, entry.index});
        ++served;
      }
      pair.daemon.publish();
      if (served < kRounds && pair.daemon.fall_asleep()) {
        eventfd_t rings = 0;
        while (::eventfd_read(pair.daemon.doorbell_fd(), &rings) != 0) {
          std::this_thread::yield();
        }
      }
    }
  });
  for (std::uint32_t i = 0; i < kRounds; ++i) {
    pair.client->push(numbered(i));
    pair.client->publish();
    while (pair.client->wait(kForEver) != Producer::Wait::kCompletion) {
    }
    Completion completion;
    ASSERT_EQ(pair.client->take(&completion, 1), 1);
    ASSERT_EQ(completion.value, i);
  }
  daemon.join();
}

}  // namespace
}  // namespace fallow::ring
