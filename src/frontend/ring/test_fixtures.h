// What the tests of this room begin with: a node, and a client that has all that it needs.
#pragma once

#include <chrono>
#include <thread>

#include "frontend/ring/test_node.h"

namespace fallow::ring {

// Waits for what another thread is about to do; the deadline is the test's own.
template <typename Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class RingServerTest : public testing::Test {
 protected:
  TestClient connect() {
    auto client = TestClient::connect(node_.path());
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
  TestClient welcomed(std::string_view name) {
    TestClient client = connect();
    EXPECT_TRUE(client.hello(Attach::kPages, name).has_value());
    return client;
  }
  TestNode node_;
};

// One client with a queue, a region of 16 pages and a pool.
class PagesTest : public RingServerTest {
 protected:
  PagesTest()
      : client_(welcomed("one")),
        queue_(*client_.open_queue(16)),
        region_(*client_.add_region(16 * kPageSize)),
        pool_(open_pool(queue_, 0, 1)) {}

  static std::uint32_t open_pool(TestQueue& queue, std::uint32_t kind, std::uint64_t label) {
    Submission entry{};
    entry.opcode = Opcode::kOpenPool;
    entry.index = kind;
    entry.object = label;
    const Completion done = queue.run(entry);
    EXPECT_EQ(done.result, 0);
    return done.value;
  }
  [[nodiscard]] Submission entry(Opcode opcode, std::uint32_t index,
                                 std::uint32_t page_of_region = 0) const {
    Submission result{};
    result.opcode = opcode;
    result.token = region_.token;
    result.user_data = ++user_data_;
    result.address = page_of_region * kPageSize;
    result.length = kPageSize;
    result.pool = pool_;
    result.object = 5;
    result.index = index;
    return result;
  }
  [[nodiscard]] std::byte* page(std::uint32_t number) const {
    return region_.memory.data() + number * kPageSize;
  }
  void fill(std::uint32_t number, unsigned seed) const {
    for (std::size_t i = 0; i < kPageSize; ++i) {
      page(number)[i] = static_cast<std::byte>(seed = seed * 1664525 + 1013904223);
    }
  }
  [[nodiscard]] bool is(std::uint32_t number, unsigned seed) const {
    for (std::size_t i = 0; i < kPageSize; ++i) {
      if (page(number)[i] != static_cast<std::byte>(seed = seed * 1664525 + 1013904223)) {
        return false;
      }
    }
    return true;
  }

  mutable std::uint64_t user_data_ = 0;
  TestClient client_;
  TestQueue queue_;
  TestRegion region_;
  std::uint32_t pool_;
};

}  // namespace fallow::ring
