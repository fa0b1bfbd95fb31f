// The C API against the daemon's own server, in one process.

#include <cerrno>
#include <map>
#include <thread>
#include <vector>

#include "client/test_client.h"
#include "frontend/ring/test_node.h"

namespace fallow::client {
namespace {

class Daemon : public testing::Test {
 protected:
  OwnedClient connect(const char* name) {
    const std::string path = node_.path();
    fallow_options options{};
    options.size = sizeof options;
    options.socket = path.c_str();
    options.name = name;
    fallow_client* client = nullptr;
    EXPECT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
    return OwnedClient(client);
  }
  ring::TestNode node_;
};

TEST_F(Daemon, NameTwice_isRefused) {
  const OwnedClient client = connect("one");
  const std::string path = node_.path();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = path.c_str();
  options.name = "one";
  fallow_client* second = nullptr;
  EXPECT_EQ(fallow_connect(&options, &second), -EBUSY) << fallow_error();
  options.name = "not a name";
  EXPECT_EQ(fallow_connect(&options, &second), -EINVAL) << fallow_error();
}

TEST_F(Daemon, PutsBeyondTheTarget_areRefusedAndCounted) {
  const OwnedClient client = connect("one");
  fallow_queue* queue = open_queue(client);
  const fallow_pool pool = open_pool(queue, 1);
  std::uint32_t stored = 0;
  int last = 0;
  for (; last == 0 && stored < ring::TestNode::kFrames; stored += last == 0) {
    const PageWords page = numbered_page(stored);
    last = fallow_put(queue, pool, 0, stored, &page);
  }
  EXPECT_EQ(last, -EDQUOT);
  fallow_statistics statistics{};
  ASSERT_EQ(fallow_get_statistics(queue, &statistics), 0);
  EXPECT_EQ(statistics.used, stored);
  EXPECT_EQ(statistics.target, stored);
  EXPECT_EQ(statistics.puts_total, stored + 1);
  EXPECT_EQ(statistics.puts_succ, stored);
  EXPECT_EQ(statistics.node_frames, ring::TestNode::kFrames);

  std::uint32_t freed = 0;
  EXPECT_EQ(fallow_flush_object(queue, pool, 0, &freed), 0);
  EXPECT_EQ(freed, stored);
  EXPECT_EQ(fallow_pool_destroy(queue, pool), 0);
}

TEST_F(Daemon, Report_reachesTheDaemon) {
  const OwnedClient client = connect("pager");
  fallow_queue* queue = open_queue(client);
  fallow_memory_report report{};
  report.ram_limit_pages = 65536;
  report.working_set_pages = 80'000;
  report.evictions_total = 12;
  report.curve_points = 2;
  report.curve[0].misses_per_million = 1'000'000;
  report.curve[1].pages = 80'000;
  ASSERT_EQ(fallow_report(queue, &report), 0) << fallow_error();
  const auto kept = node_.host.report_of("pager");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(std::memcmp(&*kept, &report, sizeof report), 0);

  report.curve[1].misses_per_million = 1'000'001;
  EXPECT_EQ(fallow_report(queue, &report), -EINVAL);
  EXPECT_EQ(fallow_report(queue, nullptr), -EINVAL);
  EXPECT_EQ(fallow_report(nullptr, &report), -EINVAL);
  EXPECT_EQ(node_.host.report_of("pager")->curve[1].misses_per_million, 0u);
}

// Clients and threads side by side: nobody sees what is another's.
TEST_F(Daemon, ManyClients_eachAgainstItsModel) {
  const auto work = [this](const char* name, std::uint64_t seed) {
    const OwnedClient client = connect(name);
    fallow_queue* queue = open_queue(client, 16);
    const fallow_pool pool = open_pool(queue, 7);
    auto* pages = static_cast<PageWords*>(fallow_alloc(client.get(), 16 * sizeof(PageWords)));
    std::map<std::uint32_t, std::uint64_t> model;
    for (std::uint64_t round = 0; round < 100; ++round) {
      for (std::uint32_t i = 0; i < 16; ++i) {
        pages[i] = numbered_page(seed + round * 16 + i);
        const auto index = static_cast<std::uint32_t>((round * 16 + i) * 5 % 61);
        ASSERT_EQ(fallow_submit_put(queue, pool, seed, index, &pages[i], i), 0);
        model[index] = seed + round * 16 + i;
      }
      std::vector<fallow_completion> done(16);
      for (int taken = 0; taken < 16;) {
        const int count = fallow_wait(queue, done.data(), 16, -1);
        ASSERT_GT(count, 0) << fallow_error();
        for (int i = 0; i < count; ++i) {
          ASSERT_EQ(done[static_cast<std::size_t>(i)].result, 0);
        }
        taken += count;
      }
      PageWords back;
      const auto index = static_cast<std::uint32_t>(round % 61);
      ASSERT_EQ(fallow_get(queue, pool, seed, index, &back), model.contains(index) ? 0 : -ENOENT);
      ASSERT_TRUE(!model.contains(index) || back == numbered_page(model[index]));
    }
  };
  std::vector<std::thread> threads;
  for (const char* name : {"one", "two", "three"}) {
    threads.emplace_back(work, name, std::uint64_t{1'000'000} * threads.size());
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace fallow::client
