#include "lab/lab_loop.h"

#include <gmock/gmock.h>

#include <csignal>

namespace fallow::lab {
namespace {

using testing::HasSubstr;

TEST(LabLoop, WaitEndsWhenWhatItWaitsForHappens) {
  auto loop = LabLoop::create();
  ASSERT_TRUE(loop.ok());
  bool happened = false;
  ASSERT_TRUE((*loop)->events().every_ns(1'000'000, [&] { happened = true; }).ok());
  EXPECT_TRUE((*loop)->wait_until([&] { return happened; }, 60'000, "it").ok());
}

TEST(LabLoop, WaitSaysWhatDidNotHappen) {
  auto loop = LabLoop::create();
  ASSERT_TRUE(loop.ok());
  const Status status = (*loop)->wait_until([] { return false; }, 1, "the miracle");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().text, HasSubstr("the miracle did not happen"));
}

TEST(LabLoop, AnInterruptEndsEveryWait) {
  auto loop = LabLoop::create();
  ASSERT_TRUE(loop.ok());
  ::raise(SIGTERM);
  const Status status = (*loop)->wait_until([] { return false; }, 60'000, "it");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().text, "interrupted");
  EXPECT_TRUE((*loop)->interrupted());
  EXPECT_FALSE((*loop)->wait_until([] { return false; }, 60'000, "it").ok());
}

}  // namespace
}  // namespace fallow::lab
