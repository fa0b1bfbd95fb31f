#include "lab/progress.h"

#include <gtest/gtest.h>

namespace fallow::lab {
namespace {

TEST(TimeLeft, IsProportional) {
  EXPECT_EQ(time_left(10, 0.5), "about 10 s left");
  EXPECT_EQ(time_left(60, 0.2), "about 4 min left");
  EXPECT_EQ(time_left(60, 1), "about 0 s left");
}

TEST(TimeLeft, SaysNothingFromTooLittle) {
  EXPECT_EQ(time_left(10, 0), "");
  EXPECT_EQ(time_left(10, 0.001), "");
}

}  // namespace
}  // namespace fallow::lab
