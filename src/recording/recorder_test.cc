#include "recording/recorder.h"

#include <gmock/gmock.h>

#include <thread>

namespace fallow::recording {
namespace {

TEST(Recorder, TakesNothingWhileItIsOff) {
  ManualClock clock;
  Recorder recorder(clock);
  recorder.note({.index = 1});
  std::vector<Operation> taken;
  recorder.take(taken);
  EXPECT_FALSE(recorder.on());
  EXPECT_TRUE(taken.empty());
}

TEST(Recorder, TimesCountFromItsStart) {
  ManualClock clock;
  clock.advance_ns(1000);
  Recorder recorder(clock);
  ASSERT_TRUE(recorder.start());
  EXPECT_FALSE(recorder.start());
  clock.advance_ns(5);
  recorder.note({.index = 1});
  clock.advance_ns(7);
  recorder.note({.index = 2, .kind = Kind::kGet});
  std::vector<Operation> taken;
  recorder.take(taken);
  const std::vector<Operation> expected = {{.at_ns = 5, .index = 1},
                                           {.at_ns = 12, .index = 2, .kind = Kind::kGet}};
  EXPECT_EQ(taken, expected);
  EXPECT_EQ(recorder.started_ns(), 1000u);
  recorder.take(taken);
  EXPECT_TRUE(taken.empty());
}

TEST(Recorder, CountsWhatIsTooMuch) {
  ManualClock clock;
  Recorder recorder(clock, 4);
  ASSERT_TRUE(recorder.start());
  for (std::uint32_t i = 0; i < 6; ++i) {
    recorder.note({.index = i});
  }
  std::vector<Operation> taken;
  recorder.take(taken);
  EXPECT_EQ(taken.size(), 4u);
  EXPECT_EQ(taken.back().index, 3u);
  EXPECT_EQ(recorder.missing(), 2u);
  recorder.note({.index = 9});
  recorder.take(taken);
  EXPECT_EQ(taken.size(), 1u);
  EXPECT_EQ(recorder.missing(), 2u);
  recorder.stop();
  ASSERT_TRUE(recorder.start());
  EXPECT_EQ(recorder.missing(), 0u);
}

TEST(Recorder, LosesNothingOfManyThreads) {
  constexpr std::uint32_t kEach = 20'000;
  const SystemClock clock;
  Recorder recorder(clock);
  ASSERT_TRUE(recorder.start());
  std::vector<std::thread> threads;
  for (std::uint32_t client = 0; client < 3; ++client) {
    threads.emplace_back([&recorder, client] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        recorder.note({.index = i, .client = client});
      }
    });
  }
  std::vector<std::uint32_t> next(3);
  std::uint64_t last_ns = 0;
  std::vector<Operation> taken;
  for (std::uint32_t seen = 0; seen < 3 * kEach;) {
    recorder.take(taken);
    for (const Operation& one : taken) {
      EXPECT_EQ(one.index, next[one.client]++);
      EXPECT_GE(one.at_ns, last_ns);
      last_ns = one.at_ns;
    }
    seen += static_cast<std::uint32_t>(taken.size());
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(recorder.missing(), 0u);
}

}  // namespace
}  // namespace fallow::recording
