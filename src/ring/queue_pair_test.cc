#include "ring/queue_pair.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

namespace fallow::ring {
namespace {

constexpr std::uint32_t kEntries = 4;

// The client's side, written down naively over its own mapping of the memory.
class QueuePairTest : public testing::Test {
 protected:
  QueuePairTest() {
    auto made = QueuePair::create(kEntries);
    EXPECT_TRUE(made.ok());
    pair_.emplace(std::move(*made));
    auto mapping = Mapping::map_shared(pair_->memory_fd(), 0, queue_bytes(kEntries));
    EXPECT_TRUE(mapping.ok());
    memory_ = std::move(*mapping);
  }
  [[nodiscard]] QueueHead& head() { return *reinterpret_cast<QueueHead*>(memory_.data()); }
  [[nodiscard]] Submission& submission(std::uint32_t index) {
    return reinterpret_cast<Submission*>(memory_.data() + kSubmissionsOffset)[index % kEntries];
  }
  [[nodiscard]] Completion completion(std::uint32_t index) {
    return reinterpret_cast<Completion*>(memory_.data() +
                                         completions_offset(kEntries))[index % kEntries];
  }
  static void store(std::uint32_t& word, std::uint32_t value) {
    std::atomic_ref(word).store(value);
  }
  void submit(std::uint64_t user_data) {
    const std::uint32_t index = head().client.submitted;
    submission(index) = {};
    submission(index).user_data = user_data;
    store(head().client.submitted, index + 1);
  }
  [[nodiscard]] bool doorbell_rang() const {
    pollfd query{pair_->doorbell_fd(), POLLIN, 0};
    return ::poll(&query, 1, 0) == 1;
  }
  void ring_doorbell() const {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(pair_->doorbell_fd(), &one, sizeof one), 8);
  }

  std::optional<QueuePair> pair_;
  Mapping memory_;
};

TEST_F(QueuePairTest, entriesComeInOrder_forManyRounds) {
  for (std::uint64_t i = 0; i < 100; ++i) {
    submit(i);
    EXPECT_TRUE(pair_->has_news());
    Submission entry;
    ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
    EXPECT_EQ(entry.user_data, i);
    EXPECT_EQ(pair_->take(entry), QueuePair::Take::kEmpty);
    pair_->complete({entry.user_data, -5, 7});
    EXPECT_EQ(head().daemon.completed, i);
    pair_->publish();
    EXPECT_EQ(head().daemon.completed, i + 1);
    EXPECT_EQ(head().daemon.taken, i + 1);
    const Completion done = completion(static_cast<std::uint32_t>(i));
    EXPECT_EQ(done.user_data, i);
    EXPECT_EQ(done.result, -5);
    EXPECT_EQ(done.value, 7u);
    store(head().client.consumed, static_cast<std::uint32_t>(i + 1));
  }
}

TEST_F(QueuePairTest, peek_showsWhatComesAndTakesNothing) {
  submit(1);
  submit(2);
  Submission entry;
  EXPECT_FALSE(pair_->peek(0, entry));  // not looked yet
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  ASSERT_TRUE(pair_->peek(0, entry));
  EXPECT_EQ(entry.user_data, 2u);
  EXPECT_FALSE(pair_->peek(1, entry));
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  EXPECT_EQ(entry.user_data, 2u);
  EXPECT_FALSE(pair_->peek(0, entry));
}

TEST_F(QueuePairTest, memoryCannotBeCut) {
  EXPECT_EQ(::ftruncate(pair_->memory_fd(), 0), -1);
  EXPECT_EQ(::ftruncate(pair_->memory_fd(), 1 << 20), -1);
  EXPECT_EQ(::fcntl(pair_->memory_fd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
}

TEST_F(QueuePairTest, wrongNumbersOfEntries_areRefused) {
  for (const std::uint32_t entries : {0u, 1u, 3u, 1025u, 2048u, 1u << 31}) {
    EXPECT_FALSE(QueuePair::create(entries).ok()) << entries;
  }
}

TEST_F(QueuePairTest, submittedTooFarAhead_breaks) {
  store(head().client.submitted, kEntries + 1);
  Submission entry;
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
  EXPECT_NE(pair_->why(), nullptr);
  store(head().client.submitted, 1);
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
}

TEST_F(QueuePairTest, submittedBackwards_breaks) {
  submit(1);
  submit(2);
  Submission entry;
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  store(head().client.submitted, 1);
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
}

// Completions that nobody takes are never overwritten.
TEST_F(QueuePairTest, submittedWithoutRoomToComplete_breaks) {
  Submission entry;
  for (std::uint32_t i = 0; i < kEntries; ++i) {
    submit(i);
    ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
    pair_->complete({entry.user_data, 0, 0});
  }
  pair_->publish();
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kEmpty);
  submit(kEntries);
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
  EXPECT_EQ(completion(0).user_data, 0u);
}

TEST_F(QueuePairTest, consumedWhatWasNotShown_breaks) {
  submit(1);
  Submission entry;
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  pair_->complete({1, 0, 0});
  store(head().client.consumed, 1);  // not published yet
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
}

TEST_F(QueuePairTest, consumedBackwards_breaks) {
  submit(1);
  Submission entry;
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  pair_->complete({1, 0, 0});
  pair_->publish();
  store(head().client.consumed, 1);
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEmpty);
  store(head().client.consumed, 0);
  EXPECT_EQ(pair_->take(entry), QueuePair::Take::kBroken);
}

TEST_F(QueuePairTest, fallAsleep_asksForTheDoorbellUnlessThereIsNews) {
  EXPECT_TRUE(pair_->fall_asleep());
  EXPECT_EQ(head().daemon.waiting, 1u);
  submit(1);
  ring_doorbell();
  EXPECT_TRUE(doorbell_rang());
  pair_->wake_up();
  EXPECT_FALSE(doorbell_rang());
  EXPECT_EQ(head().daemon.waiting, 0u);
  EXPECT_FALSE(pair_->fall_asleep());
  EXPECT_EQ(head().daemon.waiting, 0u);
}

TEST_F(QueuePairTest, wakeUp_ofABlockingDoorbellThatIsSilent_returns) {
  ASSERT_EQ(::fcntl(pair_->doorbell_fd(), F_SETFL, 0), 0);
  pair_->wake_up();
}

TEST_F(QueuePairTest, publish_wakesASleepingClient) {
  std::thread client([this] {
    store(head().client.waiting, 1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    while (std::atomic_ref(head().daemon.completed).load() == 0) {
      ::syscall(SYS_futex, &head().daemon.completed, FUTEX_WAIT, 0, nullptr, nullptr, 0);
    }
  });
  submit(1);
  Submission entry;
  ASSERT_EQ(pair_->take(entry), QueuePair::Take::kEntry);
  while (std::atomic_ref(head().client.waiting).load() == 0) {
    std::this_thread::yield();
  }
  pair_->complete({1, 0, 0});
  pair_->publish();
  client.join();
}

// A client that rewrites everything for as long as it likes never gets more out of it than entries
// with nonsense in them, or a broken queue.
TEST_F(QueuePairTest, clientThatRewritesTheMemory_isSurvived) {
  std::atomic<bool> stop{false};
  std::thread client([&] {
    std::uint32_t seed = 1;
    while (!stop.load()) {
      seed = seed * 1664525 + 1013904223;
      store(head().client.submitted, head().daemon.taken + seed % (kEntries + 1));
      store(reinterpret_cast<std::uint32_t*>(memory_.data() + kSubmissionsOffset)[seed >> 26],
            seed);
      store(head().daemon.completed, seed);
    }
  });
  std::uint32_t taken = 0;
  for (int i = 0; i < 100000; ++i) {
    Submission entry;
    if (pair_->take(entry) == QueuePair::Take::kEntry) {
      ++taken;
      pair_->complete({entry.user_data, 0, 0});
      pair_->publish();
      store(head().client.consumed, taken);
    }
  }
  stop.store(true);
  client.join();
  EXPECT_EQ(pair_->in_flight(), 0u);
}

}  // namespace
}  // namespace fallow::ring
