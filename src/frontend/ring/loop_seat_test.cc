#include "frontend/ring/loop_seat.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

namespace fallow::ring {
namespace {

class LoopSeatTest : public testing::Test {
 protected:
  LoopSeatTest() {
    EXPECT_EQ(::pipe(ends_), 0);
    EXPECT_EQ(::write(ends_[1], "x", 1), 1);  // readable from now on
  }
  ~LoopSeatTest() override {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void turn_both() {
    first_->run_once(0);
    second_->run_once(0);
  }

  int ends_[2] = {-1, -1};
  std::unique_ptr<EventLoop> first_ = std::move(*EventLoop::create());
  std::unique_ptr<EventLoop> second_ = std::move(*EventLoop::create());
  std::optional<LoopSeat> seat_{*first_};
  int calls_ = 0;
};

TEST_F(LoopSeatTest, watchedDescriptor_isHeardOfOnTheLoopOfTheMoment) {
  ASSERT_TRUE(seat_->watch(ends_[0], [&] { ++calls_; }).ok());
  first_->run_once(0);
  EXPECT_EQ(calls_, 1);
  seat_->leave();
  turn_both();
  EXPECT_EQ(calls_, 1);
  ASSERT_TRUE(seat_->join(*second_).ok());
  first_->run_once(0);
  EXPECT_EQ(calls_, 1);
  second_->run_once(0);
  EXPECT_EQ(calls_, 2);
  seat_->unwatch(ends_[0]);
  turn_both();
  EXPECT_EQ(calls_, 2);
}

TEST_F(LoopSeatTest, scheduledWork_movesAlongInItsOrder) {
  std::string order;
  seat_->soon([&] { order += 'a'; });
  seat_->leave();
  seat_->soon([&] { order += 'b'; });
  turn_both();
  EXPECT_EQ(order, "");
  ASSERT_TRUE(seat_->join(*second_).ok());
  seat_->soon([&] { order += 'c'; });
  first_->run_once(0);
  EXPECT_EQ(order, "");
  second_->run_once(0);
  EXPECT_EQ(order, "abc");
}

TEST_F(LoopSeatTest, changesBetweenTwoLoops_holdOnTheNext) {
  ASSERT_TRUE(seat_->watch(ends_[1], [&] { calls_ += 100; }).ok());
  seat_->leave();
  seat_->unwatch(ends_[1]);
  ASSERT_TRUE(seat_->watch(ends_[0], [&] { ++calls_; }).ok());
  ASSERT_TRUE(seat_->join(*second_).ok());
  turn_both();
  EXPECT_EQ(calls_, 1);
}

TEST_F(LoopSeatTest, workThatSchedulesMore_isCalledInTheNextTurn) {
  seat_->soon([&] { seat_->soon([&] { ++calls_; }); });
  first_->run_once(0);
  EXPECT_EQ(calls_, 0);
  first_->run_once(0);
  EXPECT_EQ(calls_, 1);
}

TEST_F(LoopSeatTest, seatThatEndsWithinItsWork_callsNothingAfterIt) {
  ASSERT_TRUE(seat_->watch(ends_[0], [&] { ++calls_; }).ok());
  seat_->soon([&] { seat_.reset(); });
  seat_->soon([&] { ++calls_; });
  first_->run_once(0);
  const int before = calls_;  // what was readable may have been told first
  first_->run_once(0);
  EXPECT_EQ(calls_, before);
  EXPECT_LE(calls_, 1);
}

TEST_F(LoopSeatTest, descriptorThatIsGone_isAnErrorAndTheOthersAreWatched) {
  ASSERT_TRUE(seat_->watch(ends_[0], [&] { ++calls_; }).ok());
  const int other = ::dup(ends_[0]);
  ASSERT_TRUE(seat_->watch(other, [] {}).ok());
  seat_->leave();
  ::close(other);
  EXPECT_FALSE(seat_->join(*second_).ok());
  second_->run_once(0);
  EXPECT_EQ(calls_, 1);
}

}  // namespace
}  // namespace fallow::ring
