// The C API against a daemon that lives throughout.

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <thread>
#include <vector>

#include "client/fake_daemon.h"
#include "client/test_client.h"

namespace fallow::client {
namespace {

class Library : public testing::Test {
 protected:
  TestPlace place_;
  FakeDaemon::State state_;
  FakeDaemon daemon_{place_.socket(), state_};
};

TEST(LibraryAlone, Version_isTheProjects) {
  EXPECT_STREQ(fallow_version(), FALLOW_VERSION);
}

TEST(LibraryAlone, Connect_noDaemon_saysSo) {
  fallow_options options{};
  options.size = sizeof options;
  options.socket = "/nowhere/ring.sock";
  fallow_client* client = nullptr;
  EXPECT_EQ(fallow_connect(&options, &client), -ENOTCONN);
  EXPECT_EQ(client, nullptr);
  EXPECT_NE(std::string(fallow_error()).find("no daemon listens on '/nowhere/ring.sock'"),
            std::string::npos)
      << fallow_error();
}

TEST(LibraryAlone, Calls_onNothing_areInvalid) {
  fallow_queue* queue = nullptr;
  fallow_pool pool = 0;
  fallow_completion completion;
  std::uint64_t extent = 0;
  EXPECT_EQ(fallow_connect(nullptr, nullptr), -EINVAL);
  fallow_close(nullptr);
  EXPECT_EQ(fallow_alloc(nullptr, 1), nullptr);
  EXPECT_EQ(errno, EINVAL);
  fallow_free(nullptr, &pool);
  EXPECT_EQ(fallow_queue_open(nullptr, 0, &queue), -EINVAL);
  fallow_queue_close(nullptr);
  EXPECT_EQ(fallow_pool_open(nullptr, FALLOW_PERSISTENT, 1, &pool), -EINVAL);
  EXPECT_EQ(fallow_pool_destroy(nullptr, 1), -EINVAL);
  EXPECT_EQ(fallow_flush_page(nullptr, 1, 1, 1), -EINVAL);
  EXPECT_EQ(fallow_submit(nullptr), -EINVAL);
  EXPECT_EQ(fallow_poll(nullptr, &completion, 1), -EINVAL);
  EXPECT_EQ(fallow_wait(nullptr, &completion, 1, 0), -EINVAL);
  EXPECT_EQ(fallow_disk_size(nullptr), 0u);
  EXPECT_EQ(fallow_disk_block_size(nullptr), 0u);
  EXPECT_EQ(fallow_disk_sync(nullptr), -EINVAL);
  EXPECT_EQ(fallow_disk_extent(nullptr, 4096, 0, &extent), -EINVAL);
}

TEST_F(Library, Connect_wrongOptions_areInvalid) {
  const std::string socket = place_.socket();
  fallow_client* client = nullptr;
  fallow_options options{};
  options.socket = socket.c_str();
  EXPECT_EQ(fallow_connect(&options, &client), -EINVAL);  // size is missing

  struct {
    fallow_options known{};
    std::uint64_t of_a_later_version = 1;
  } later;
  later.known.size = sizeof later;
  later.known.socket = socket.c_str();
  EXPECT_EQ(fallow_connect(&later.known, &client), -EINVAL);
  later.of_a_later_version = 0;
  ASSERT_EQ(fallow_connect(&later.known, &client), 0) << fallow_error();
  fallow_close(client);

  options.size = sizeof options;
  const std::string long_name(80, 'x');
  options.name = long_name.c_str();
  EXPECT_EQ(fallow_connect(&options, &client), -EINVAL);
  const std::string long_socket(200, 'x');
  options.name = nullptr;
  options.socket = long_socket.c_str();
  EXPECT_EQ(fallow_connect(&options, &client), -EINVAL);
}

TEST_F(Library, Connect_refused_tellsTheDaemonsText) {
  const std::string socket = place_.socket();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  options.name = "refused";
  fallow_client* client = nullptr;
  EXPECT_EQ(fallow_connect(&options, &client), -EACCES);
  EXPECT_STREQ(fallow_error(), "the daemon refuses: 'refused' is not let in");
}

TEST_F(Library, Connect_noOptions_usesTheEnvironmentAndAName) {
  ASSERT_EQ(::setenv("FALLOW_RING_SOCKET", place_.socket().c_str(), 1), 0);
  fallow_client* client = nullptr;
  EXPECT_EQ(fallow_connect(nullptr, &client), 0) << fallow_error();
  fallow_close(client);
  ::unsetenv("FALLOW_RING_SOCKET");
}

TEST_F(Library, PutGetFlush_ordinaryAndRegisteredMemory) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  auto* registered = static_cast<PageWords*>(fallow_alloc(client.get(), 2 * FALLOW_PAGE_SIZE));
  ASSERT_NE(registered, nullptr);
  registered[0] = numbered_page(1);
  const PageWords ordinary = numbered_page(2);
  PageWords back;

  EXPECT_EQ(fallow_put(queue, pool, 7, 1, &registered[0]), 0);
  EXPECT_EQ(fallow_put(queue, pool, 7, 2, &ordinary), 0);
  EXPECT_EQ(fallow_get(queue, pool, 7, 1, &back), 0);
  EXPECT_EQ(back, registered[0]);
  EXPECT_EQ(fallow_get(queue, pool, 7, 2, &registered[1]), 0);
  EXPECT_EQ(registered[1], ordinary);

  EXPECT_EQ(fallow_get(queue, pool, 7, 3, &back), -ENOENT);
  EXPECT_STREQ(fallow_error(), "there is no such page");
  EXPECT_EQ(fallow_flush_page(queue, pool, 7, 1), 1);
  EXPECT_EQ(fallow_flush_page(queue, pool, 7, 1), 0);
  std::uint32_t pages = 0;
  EXPECT_EQ(fallow_put(queue, pool, 7, 3, &ordinary), 0);
  EXPECT_EQ(fallow_flush_object(queue, pool, 7, &pages), 0);
  EXPECT_EQ(pages, 2u);
  EXPECT_EQ(fallow_flush_object(queue, pool, 7, nullptr), 0);
  fallow_free(client.get(), registered);
}

TEST_F(Library, Put_memoryThatIsPartlyRegistered_isCopied) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  // Any alignment, up to the region's last byte.
  auto* memory = static_cast<std::byte*>(fallow_alloc(client.get(), 16u << 20));
  ASSERT_NE(memory, nullptr);
  std::byte* last = memory + (16u << 20) - FALLOW_PAGE_SIZE;
  const PageWords page = numbered_page(3);
  std::memcpy(last - 3, &page, sizeof page);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, last - 3), 0);
  PageWords back;
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), 0);
  EXPECT_EQ(back, page);
}

TEST_F(Library, Pools_labelsAndDestruction) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  EXPECT_EQ(open_pool(queue, 1), pool);
  EXPECT_EQ(open_pool(open_queue(client), 1), pool);
  const PageWords page = numbered_page(1);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);
  EXPECT_EQ(fallow_pool_destroy(queue, pool), 0);
  EXPECT_EQ(fallow_pool_destroy(queue, pool), -ESTALE);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, &page), -ESTALE);
  EXPECT_EQ(fallow_submit_put(queue, pool, 0, 0, &page, 1), -ESTALE);
  EXPECT_NE(open_pool(queue, 1), pool);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, &page), -ESTALE);
  EXPECT_EQ(fallow_pool_open(queue, FALLOW_PERSISTENT, 1, nullptr), -EINVAL);
}

TEST_F(Library, Statistics_comeBack) {
  const OwnedClient client = place_.connect();
  fallow_statistics statistics{};
  EXPECT_EQ(fallow_get_statistics(open_queue(client), &statistics), 0);
  EXPECT_EQ(statistics.target, 42u);
  EXPECT_EQ(fallow_get_statistics(open_queue(client), nullptr), -EINVAL);
}

TEST_F(Library, WrongUse_ofQueues_isInvalid) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = nullptr;
  EXPECT_EQ(fallow_queue_open(client.get(), 1025, &queue), -EINVAL);
  EXPECT_EQ(fallow_queue_open(client.get(), 1, nullptr), -EINVAL);
  queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, nullptr), -EINVAL);
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, nullptr), -EINVAL);
  EXPECT_EQ(fallow_submit_get(queue, pool, 0, 0, nullptr, 0), -EINVAL);
  fallow_completion completion;
  EXPECT_EQ(fallow_poll(queue, nullptr, 1), -EINVAL);
  EXPECT_EQ(fallow_wait(queue, &completion, 0, 0), -EINVAL);
  // No disk.
  EXPECT_EQ(fallow_disk_read(queue, &completion, 0, 0), -EINVAL);
  EXPECT_EQ(fallow_disk_sync(queue), -EINVAL);
  EXPECT_EQ(fallow_disk_size(client.get()), 0u);
}

TEST_F(Library, Asynchronous_depthIsTheLimitAndNothingIsLost) {
  const OwnedClient client = place_.connect();
  for (const unsigned depth : {1u, 2u, 32u, 1024u}) {
    fallow_queue* queue = open_queue(client, depth);
    const fallow_pool pool = open_pool(queue, depth);
    std::vector<PageWords> pages(depth);
    for (unsigned i = 0; i < depth; ++i) {
      pages[i] = numbered_page(i);
      ASSERT_EQ(fallow_submit_put(queue, pool, 0, i, &pages[i], i), 0);
    }
    EXPECT_EQ(fallow_submit_put(queue, pool, 0, 0, &pages[0], 0), -EAGAIN);
    EXPECT_EQ(fallow_submit(queue), 0);
    // A synchronous operation has its place all the same, behind the others.
    PageWords back;
    EXPECT_EQ(fallow_get(queue, pool, 0, depth - 1, &back), 0);
    EXPECT_EQ(back, pages[depth - 1]);
    EXPECT_EQ(fallow_submit_put(queue, pool, 0, 0, &pages[0], 0), -EAGAIN);  // none was taken
    std::vector<fallow_completion> completions(depth + 1);
    unsigned taken = 0;
    while (taken < depth) {
      const int count = fallow_wait(queue, &completions[taken], depth + 1 - taken, -1);
      ASSERT_GT(count, 0) << fallow_error();
      taken += static_cast<unsigned>(count);
    }
    for (unsigned i = 0; i < depth; ++i) {
      ASSERT_EQ(completions[i].user_data, i);
      ASSERT_EQ(completions[i].result, 0);
    }
    EXPECT_EQ(fallow_wait(queue, completions.data(), 1, -1), 0);  // nothing is in flight
    fallow_queue_close(queue);
  }
}

TEST_F(Library, Asynchronous_everyOperation) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  PageWords page = numbered_page(1);
  PageWords back;
  PageWords nothing;
  EXPECT_EQ(fallow_submit_put(queue, pool, 5, 1, &page, 1), 0);
  EXPECT_EQ(fallow_submit_get(queue, pool, 5, 1, &back, 2), 0);
  EXPECT_EQ(fallow_submit_flush_page(queue, pool, 5, 1, 3), 0);
  EXPECT_EQ(fallow_submit_get(queue, pool, 5, 1, &nothing, 4), 0);
  EXPECT_EQ(fallow_submit_put(queue, pool, 5, 2, &page, 5), 0);
  EXPECT_EQ(fallow_submit_flush_object(queue, pool, 5, 6), 0);
  std::vector<fallow_completion> all(6);
  for (int taken = 0; taken < 6;) {
    const int count = fallow_poll(queue, &all[static_cast<std::size_t>(taken)], 6);
    ASSERT_GE(count, 0);
    taken += count;
  }
  const std::vector<int> results = {0, 0, 1, -ENOENT, 0, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(all[i].user_data, i + 1);
    EXPECT_EQ(all[i].result, results[i]) << i;
  }
  EXPECT_EQ(all[5].value, 1u);
  EXPECT_EQ(back, page);
}

TEST_F(Library, Wait_nothingSubmittedIsShown_andShowsIt) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  const std::uint64_t before = daemon_.entries();
  const PageWords page = numbered_page(1);
  EXPECT_EQ(fallow_submit_put(queue, pool, 0, 0, &page, 9), 0);
  EXPECT_EQ(daemon_.entries(), before);
  fallow_completion completion;
  EXPECT_EQ(fallow_wait(queue, &completion, 1, 10'000), 1);
  EXPECT_EQ(completion.user_data, 9u);
}

TEST_F(Library, Alloc_growsByRegionsAndGivesThemBack) {
  const OwnedClient client = place_.connect();
  std::vector<void*> memory;
  for (int i = 0; i < 40; ++i) {
    memory.push_back(fallow_alloc(client.get(), 10u << 20));
    ASSERT_NE(memory.back(), nullptr);
    std::memset(memory.back(), i, 4096);
  }
  EXPECT_GT(daemon_.regions(), 1u);
  for (void* one : memory) {
    fallow_free(client.get(), one);
  }
  EXPECT_EQ(daemon_.regions(), 1u);
  fallow_free(client.get(), nullptr);
  fallow_free(client.get(), &memory);  // not from fallow_alloc
  EXPECT_EQ(fallow_alloc(client.get(), SIZE_MAX), nullptr);
  EXPECT_EQ(errno, ENOMEM);
}

TEST_F(Library, Alloc_whileAQueueIsAtWork_isUsedDirectlyAtOnce) {
  const OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  for (std::uint32_t i = 0; i < 8; ++i) {
    auto* page = static_cast<PageWords*>(fallow_alloc(client.get(), 20u << 20));
    ASSERT_NE(page, nullptr);
    *page = numbered_page(i);
    EXPECT_EQ(fallow_put(queue, pool, 0, i, page), 0);
    fallow_free(client.get(), page);
    PageWords back;
    EXPECT_EQ(fallow_get(queue, pool, 0, i, &back), 0);
    EXPECT_EQ(back, numbered_page(i));
  }
}

TEST(LibraryAlone, Alloc_regionRefused_isNullWithTheDaemonsError) {
  const TestPlace place;
  FakeDaemon::State state;
  FakeDaemon::Settings settings;
  settings.refuses_regions = ENOBUFS;
  const FakeDaemon daemon(place.socket(), state, settings);
  const OwnedClient client = place.connect();
  EXPECT_EQ(fallow_alloc(client.get(), 1), nullptr);
  EXPECT_EQ(errno, ENOBUFS);
  EXPECT_STREQ(fallow_error(), "the daemon refuses: no more regions");
  // Memory of the program's own needs a stand-in, which cannot be had either.
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  const PageWords page = numbered_page(1);
  EXPECT_EQ(fallow_put(queue, pool, 0, 0, &page), -ENOBUFS);
  EXPECT_EQ(fallow_flush_page(queue, pool, 0, 0), 0);
}

TEST(LibraryAlone, Queue_refused_tellsSo) {
  const TestPlace place;
  FakeDaemon::State state;
  FakeDaemon::Settings settings;
  settings.queues_max = 1;
  const FakeDaemon daemon(place.socket(), state, settings);
  const OwnedClient client = place.connect();
  fallow_queue* first = open_queue(client);
  fallow_queue* second = nullptr;
  EXPECT_EQ(fallow_queue_open(client.get(), 0, &second), -EMFILE);
  fallow_queue_close(first);
  EXPECT_EQ(fallow_queue_open(client.get(), 0, &second), 0);
}

TEST(LibraryAlone, Connect_daemonOfAnotherVersion_isRefused) {
  const TestPlace place;
  FakeDaemon::State state;
  FakeDaemon::Settings settings;
  settings.version = 9;
  const FakeDaemon daemon(place.socket(), state, settings);
  const std::string socket = place.socket();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  fallow_client* client = nullptr;
  EXPECT_EQ(fallow_connect(&options, &client), -ENOTCONN);
  EXPECT_NE(std::string(fallow_error()).find("version 9"), std::string::npos) << fallow_error();
}

// Each thread with a queue of its own, against its own model; memory comes and goes meanwhile.
TEST_F(Library, ManyThreads_eachSeesItsOwnPages) {
  const OwnedClient client = place_.connect();
  const auto work = [&](std::uint64_t thread) {
    fallow_queue* queue = open_queue(client, 8);
    const fallow_pool pool = open_pool(queue, thread % 2);
    std::map<std::uint32_t, std::uint64_t> model;
    std::uint64_t random = thread + 1;
    for (std::uint64_t step = 0; step < 400; ++step) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const auto index = static_cast<std::uint32_t>(random >> 33) % 16;
      auto* page = static_cast<PageWords*>(fallow_alloc(client.get(), FALLOW_PAGE_SIZE));
      ASSERT_NE(page, nullptr);
      if (random >> 63 != 0) {
        *page = numbered_page(step + thread * 1000);
        ASSERT_EQ(fallow_put(queue, pool, thread, index, page), 0);
        model[index] = step + thread * 1000;
      } else {
        const int found = fallow_get(queue, pool, thread, index, page);
        ASSERT_EQ(found, model.contains(index) ? 0 : -ENOENT);
        if (found == 0) {
          ASSERT_EQ(*page, numbered_page(model[index]));
        }
      }
      fallow_free(client.get(), page);
    }
    fallow_queue_close(queue);
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back(work, i);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_F(Library, ForkedChild_mayOnlyClose) {
  OwnedClient client = place_.connect();
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  const PageWords page = numbered_page(1);
  ASSERT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    PageWords back;
    fallow_queue* another = nullptr;
    const bool refused = fallow_get(queue, pool, 0, 0, &back) == -EINVAL &&
                         fallow_queue_open(client.get(), 0, &another) == -EINVAL &&
                         fallow_alloc(client.get(), 1) == nullptr;
    client.reset();
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  PageWords back;
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), 0) << fallow_error();
  EXPECT_EQ(back, page);
}

}  // namespace
}  // namespace fallow::client
