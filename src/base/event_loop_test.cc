#include "base/event_loop.h"

#include <gtest/gtest.h>

#include <unistd.h>
#include <functional>
#include <string>

#include <thread>

namespace fallow {
namespace {

TEST(EventLoop, postedWork_runsOnTheLoopsThread) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.ok());
  std::thread::id ran_on;
  std::thread thread([&] { (*loop)->run(); });
  const std::thread::id expected = thread.get_id();
  (*loop)->post([&] { ran_on = std::this_thread::get_id(); });
  (*loop)->stop();
  thread.join();
  EXPECT_EQ(ran_on, expected);
}

TEST(EventLoop, readableDescriptor_callsItsHandlerUntilUnwatched) {
  auto loop = EventLoop::create();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  int calls = 0;
  ASSERT_TRUE((*loop)
                  ->watch(ends[0],
                          [&] {
                            ++calls;
                            (*loop)->unwatch(ends[0]);
                          })
                  .ok());
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  (*loop)->run_once(1000);
  (*loop)->run_once(0);
  EXPECT_EQ(calls, 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(EventLoop, timer_firesUntilCancelled) {
  auto loop = EventLoop::create();
  int calls = 0;
  const int timer = *(*loop)->every_ns(1'000'000, [&] { ++calls; });
  while (calls < 3) {
    (*loop)->run_once(1000);
  }
  (*loop)->cancel(timer);
  (*loop)->run_once(5);
  EXPECT_EQ(calls, 3);
}

TEST(EventLoop, soon_letsWhatIsReadyGoFirst) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.ok());
  EventLoop& it = **loop;
  std::string order;
  int turns = 0;
  const std::function<void()> again = [&] {
    order += 's';
    if (++turns < 3) {
      it.post([&] { order += 'p'; });
      it.soon(again);
    }
  };
  it.soon(again);
  for (int i = 0; i < 3; ++i) {
    it.run_once(-1);  // does not sleep
  }
  EXPECT_EQ(order, "spsps");
}

}  // namespace
}  // namespace fallow
