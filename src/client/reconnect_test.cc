// The C API across the daemon's deaths.

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "client/fake_daemon.h"
#include "client/test_client.h"

namespace fallow::client {
namespace {

class Reconnect : public testing::Test {
 protected:
  void live(const FakeDaemon::Settings& settings) {
    daemon_.reset();
    daemon_.emplace(place_.socket(), state_, settings);
  }
  void wait_for_death() {
    while (!daemon_->dead()) {
      std::this_thread::yield();
    }
  }

  TestPlace place_;
  FakeDaemon::State state_;
  std::optional<FakeDaemon> daemon_;
};

TEST_F(Reconnect, Synchronous_goesOnWithTheNextDaemon) {
  live({});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  auto* pages = static_cast<PageWords*>(fallow_alloc(client.get(), 2 * FALLOW_PAGE_SIZE));
  const fallow_pool first = open_pool(queue, 11);
  const fallow_pool second = open_pool(queue, 22);
  pages[0] = numbered_page(1);
  ASSERT_EQ(fallow_put(queue, first, 0, 0, &pages[0]), 0);
  pages[0] = numbered_page(2);
  ASSERT_EQ(fallow_put(queue, second, 0, 0, &pages[0]), 0);

  live({.first_pool = 500});  // pools have other numbers now
  EXPECT_EQ(fallow_get(queue, first, 0, 0, &pages[1]), 0) << fallow_error();
  EXPECT_EQ(pages[1], numbered_page(1));
  PageWords back;
  EXPECT_EQ(fallow_get(queue, second, 0, 0, &back), 0);
  EXPECT_EQ(back, numbered_page(2));
  EXPECT_TRUE(daemon_->came_back());
  EXPECT_EQ(open_pool(queue, 22), second);
}

TEST_F(Reconnect, PagesForgotten_oldPoolsAreStaleForEver) {
  live({});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  const PageWords page = numbered_page(1);
  ASSERT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);

  daemon_.reset();
  state_.pools.clear();
  live({.resumed = false});
  PageWords back;
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), -ESTALE);
  // The same label is a new pool; the old handle does not lead to it.
  const fallow_pool fresh = open_pool(queue, 1);
  const PageWords other = numbered_page(2);
  EXPECT_EQ(fallow_put(queue, fresh, 0, 0, &other), 0);
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), -ESTALE);
  EXPECT_EQ(fallow_flush_page(queue, pool, 0, 0), -ESTALE);
  EXPECT_EQ(fallow_get(queue, fresh, 0, 0, &back), 0);
  EXPECT_EQ(back, other);
}

TEST_F(Reconnect, PagesForgotten_whatWasInFlightIsStale) {
  live({});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  std::vector<PageWords> pages(4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    ASSERT_EQ(fallow_submit_get(queue, pool, 0, i, &pages[i], i), 0);
  }
  live({.resumed = false});
  fallow_completion completions[8];
  int taken = 0;
  while (taken < 4) {
    const int count = fallow_wait(queue, completions + taken, 8, -1);
    ASSERT_GT(count, 0) << fallow_error();
    taken += count;
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(completions[i].user_data, static_cast<std::uint64_t>(i));
    EXPECT_EQ(completions[i].result, -ESTALE);
  }
}

TEST_F(Reconnect, DaemonStaysAway_callsGiveUpInTimeAndThenAtOnce) {
  live({});
  const OwnedClient client = place_.connect(300);
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  PageWords page = numbered_page(1);
  ASSERT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);
  ASSERT_EQ(fallow_submit_get(queue, pool, 0, 0, &page, 5), 0);
  daemon_.reset();
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &page), -ENOTCONN);
  EXPECT_NE(std::string(fallow_error()).find("has been away"), std::string::npos) << fallow_error();
  fallow_completion completion;
  EXPECT_EQ(fallow_wait(queue, &completion, 1, -1), -ENOTCONN);
  EXPECT_EQ(fallow_poll(queue, &completion, 1), -ENOTCONN);
  fallow_queue* another = nullptr;
  EXPECT_EQ(fallow_queue_open(client.get(), 0, &another), -ENOTCONN);
  // It comes back late: what is still in flight is carried out, what was given up is not.
  live({});
  EXPECT_EQ(fallow_wait(queue, &completion, 1, -1), 1) << fallow_error();
  EXPECT_EQ(completion.user_data, 5u);
  EXPECT_EQ(completion.result, 0);
  EXPECT_EQ(fallow_wait(queue, &completion, 1, -1), 0);
}

TEST_F(Reconnect, Wait_withATimeout_returnsInTimeWhileTheDaemonIsAway) {
  live({});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  PageWords page = numbered_page(1);
  daemon_.reset();
  ASSERT_EQ(fallow_submit_put(queue, pool, 0, 0, &page, 5), 0);
  fallow_completion completion;
  EXPECT_EQ(fallow_wait(queue, &completion, 1, 0), -EAGAIN);
  EXPECT_EQ(fallow_wait(queue, &completion, 1, 120), -EAGAIN);
  EXPECT_EQ(fallow_poll(queue, &completion, 1), 0);
  live({});
  int taken = 0;
  while ((taken = fallow_poll(queue, &completion, 1)) == 0) {
  }
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(completion.user_data, 5u);
  EXPECT_EQ(completion.result, 0);
}

// For each place at which the daemon can die within a row of dependent operations, once having said
// what it did last and once not: the results are those of one daemon that lives.
TEST_F(Reconnect, InFlight_daemonDiesAnywhere_resultsAreThoseOfOneDaemon) {
  for (const bool says_last : {true, false}) {
    for (std::uint64_t at = 1; at <= 8; ++at) {
      daemon_.reset();
      state_.pools.clear();
      live({.entries_max = 1 + at, .says_last = says_last});  // the first opens the pool
      const OwnedClient client = place_.connect();
      fallow_queue* queue = open_queue(client);
      const fallow_pool pool = open_pool(queue, 1);
      auto* pages = static_cast<PageWords*>(fallow_alloc(client.get(), 8 * FALLOW_PAGE_SIZE));
      PageWords ordinary[2];
      pages[0] = numbered_page(1);
      pages[1] = numbered_page(2);
      ASSERT_EQ(fallow_submit_put(queue, pool, 0, 0, &pages[0], 0), 0);
      ASSERT_EQ(fallow_submit_get(queue, pool, 0, 0, &pages[2], 1), 0);
      ASSERT_EQ(fallow_submit_put(queue, pool, 0, 0, &pages[1], 2), 0);
      ASSERT_EQ(fallow_submit_get(queue, pool, 0, 0, &ordinary[0], 3), 0);
      ASSERT_EQ(fallow_submit_put(queue, pool, 0, 1, &pages[0], 4), 0);
      ASSERT_EQ(fallow_submit_get(queue, pool, 0, 1, &ordinary[1], 5), 0);
      ASSERT_EQ(fallow_submit_get(queue, pool, 0, 2, &pages[3], 6), 0);
      ASSERT_EQ(fallow_submit_flush_object(queue, pool, 0, 7), 0);
      ASSERT_EQ(fallow_submit(queue), 0);
      wait_for_death();
      live({.first_pool = 70});
      std::vector<fallow_completion> all(8);
      for (std::size_t taken = 0; taken < 8;) {
        const int count = fallow_wait(queue, &all[taken], 8, -1);
        ASSERT_GT(count, 0) << fallow_error();
        taken += static_cast<std::size_t>(count);
      }
      for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(all[i].user_data, i);
        EXPECT_EQ(all[i].result, i == 6 ? -ENOENT : 0);
      }
      EXPECT_EQ(pages[2], numbered_page(1)) << "died at " << at << ", said " << says_last;
      EXPECT_EQ(ordinary[0], numbered_page(2));
      EXPECT_EQ(ordinary[1], numbered_page(1));
      daemon_.reset();
      EXPECT_TRUE(state_.pools[1].empty());
    }
  }
}

TEST_F(Reconnect, DestroyAndOpen_daemonDiesUnsaid_areCarriedOutOnce) {
  live({.entries_max = 1, .says_last = false});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  std::thread next([this] {
    wait_for_death();
    live({.entries_max = 1});
    wait_for_death();
    live({.entries_max = 2, .says_last = false});
    wait_for_death();
    live({});
  });
  const fallow_pool pool = open_pool(queue, 1);
  EXPECT_EQ(fallow_pool_destroy(queue, pool), 0) << fallow_error();
  next.join();
  PageWords back;
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), -ESTALE);
  EXPECT_NE(open_pool(queue, 1), pool);
}

TEST_F(Reconnect, DaemonThatAnswersNonsense_isLeftForAnotherConnection) {
  live({.completes_wrongly = true});
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  EXPECT_EQ(daemon_->hellos(), 2u);
  const PageWords page = numbered_page(1);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);
}

// Threads work on while the daemon dies again and again: every page that was acknowledged comes
// back.
TEST_F(Reconnect, ManyThreadsAndManyDeaths_noPageIsLost) {
  live({});
  const OwnedClient client = place_.connect();
  std::atomic<unsigned> running{3};
  const auto work = [&](std::uint64_t thread) {
    fallow_queue* queue = open_queue(client, 4);
    const fallow_pool pool = open_pool(queue, thread);
    std::map<std::uint32_t, std::uint64_t> model;
    auto* page = static_cast<PageWords*>(fallow_alloc(client.get(), FALLOW_PAGE_SIZE));
    PageWords ordinary;
    for (std::uint64_t step = 0; step < 1500; ++step) {
      const auto index = static_cast<std::uint32_t>(step * 7 % 31);
      PageWords& memory = step % 3 == 0 ? ordinary : *page;
      if (step % 2 == 0) {
        memory = numbered_page(step + thread * 10'000);
        ASSERT_EQ(fallow_put(queue, pool, thread, index, &memory), 0) << fallow_error();
        model[index] = step + thread * 10'000;
      } else {
        const int found = fallow_get(queue, pool, thread, index, &memory);
        ASSERT_EQ(found, model.contains(index) ? 0 : -ENOENT) << fallow_error();
        if (found == 0) {
          ASSERT_EQ(memory, numbered_page(model[index]));
        }
      }
    }
    --running;
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 3; ++i) {
    threads.emplace_back(work, i);
  }
  for (unsigned life = 1; running > 0; ++life) {
    const std::uint64_t enough = daemon_->entries() + 300;
    while (running > 0 && daemon_->entries() < enough) {
      std::this_thread::yield();
    }
    live({.first_pool = life * 100});
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace fallow::client
