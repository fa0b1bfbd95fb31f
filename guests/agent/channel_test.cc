#include "agent/channel.h"

#include <gtest/gtest.h>

namespace fallow::guests {
namespace {

TEST(LineBuffer, PutsPiecesTogetherAndTakesLinesApart) {
  LineBuffer buffer;
  buffer.add("st");
  EXPECT_FALSE(buffer.next().has_value());
  buffer.add("op\nping\nswap");
  EXPECT_EQ(buffer.next(), "stop");
  EXPECT_EQ(buffer.next(), "ping");
  EXPECT_FALSE(buffer.next().has_value());
}

TEST(LineBuffer, IsBoundedWhateverComes) {
  LineBuffer buffer;
  for (int i = 0; i < 100; ++i) {
    buffer.add(std::string(1000, 'x'));
  }
  buffer.add("\n");
  ASSERT_TRUE(buffer.next().has_value());
  EXPECT_FALSE(buffer.next().has_value());
}

}  // namespace
}  // namespace fallow::guests
