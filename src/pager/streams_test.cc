#include "pager/streams.h"

#include <gtest/gtest.h>

#include <random>

namespace fallow::pager {
namespace {

// A reader that faults on the first page of each window, when all of a plan is brought in.
struct Reader {
  explicit Reader(std::int64_t pages) : stride(pages) {}
  Streams::Plan step(Streams& streams) {
    const Streams::Plan plan = streams.fault(page);
    streams.brought(plan.ahead);
    page += static_cast<std::uint64_t>(stride * (1 + static_cast<std::int64_t>(plan.ahead)));
    return plan;
  }
  std::int64_t stride;
  std::uint64_t page = 1u << 20;
};

TEST(StreamsTest, opensItsWindowAsAStreamGoesOn) {
  for (const std::int64_t stride : {1, -1, 3, -16}) {
    Streams streams;
    Reader reader(stride);
    EXPECT_EQ(reader.step(streams).ahead, 0u);
    EXPECT_EQ(reader.step(streams).ahead, 0u);
    std::uint32_t before = 0;
    for (int i = 0; i < 10; ++i) {
      const Streams::Plan plan = reader.step(streams);
      EXPECT_EQ(plan.stride, stride);
      EXPECT_EQ(plan.proved, before);
      EXPECT_GE(plan.ahead, before);
      before = plan.ahead;
    }
    EXPECT_EQ(before, Streams::kAheadMost - 1);
  }
}

TEST(StreamsTest, tellsStreamsApart) {
  Streams streams;
  Reader one(1);
  Reader two(-2);
  two.page = 5u << 20;
  Streams::Plan last_one;
  Streams::Plan last_two;
  for (int i = 0; i < 12; ++i) {
    last_one = one.step(streams);
    last_two = two.step(streams);
  }
  EXPECT_EQ(last_one.ahead, Streams::kAheadMost - 1);
  EXPECT_EQ(last_two.stride, -2);
  EXPECT_EQ(last_two.ahead, Streams::kAheadMost - 1);
}

TEST(StreamsTest, bringsNothingAheadForRandomFaults) {
  Streams streams;
  std::mt19937_64 random(1);
  std::uint64_t ahead = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Streams::Plan plan = streams.fault(random() % (1u << 24));
    streams.brought(plan.ahead);
    ahead += plan.ahead;
  }
  EXPECT_LT(ahead, 200u);
}

// Three faults in a row and then somewhere else, again and again: what is brought in is never used.
TEST(StreamsTest, restsWhenItDoesNotPay) {
  Streams streams;
  std::uint64_t page = 0;
  std::uint64_t ahead = 0;
  constexpr int kTries = 20'000;
  for (int i = 0; i < kTries; ++i) {
    page += 1'000'003;
    for (std::uint64_t k = 0; k < 3; ++k) {
      const Streams::Plan plan = streams.fault(page + k);
      streams.brought(plan.ahead);
      ahead += plan.ahead;
    }
  }
  EXPECT_LT(ahead, 2u * kTries * 3 / 4);
}

}  // namespace
}  // namespace fallow::pager
