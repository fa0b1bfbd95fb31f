#include "common/mix.h"

#include <gtest/gtest.h>

#include "common/copies.h"

namespace fallow::guests {
namespace {

TEST(Random, StaysBelowItsBound) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(random.below(3), 3U);
    const double fraction = random.fraction();
    EXPECT_TRUE(fraction >= 0 && fraction < 1) << fraction;
  }
}

TEST(Fingerprint, DependsOnEveryWordAndTheirOrder) {
  const auto of = [](std::initializer_list<std::uint64_t> words) {
    Fingerprint sum;
    for (const std::uint64_t word : words) {
      sum.add(word);
    }
    return sum.value();
  };
  EXPECT_EQ(of({1, 2, 3}), of({1, 2, 3}));
  EXPECT_NE(of({1, 2, 3}), of({2, 1, 3}));
  EXPECT_NE(of({1, 2, 3}), of({1, 2, 4}));
  EXPECT_NE(of({0}), of({0, 0}));
}

TEST(Footprint, CountsTheCopiesThatFit) {
  const Footprint footprint{1 << 20, 3 << 20};
  EXPECT_EQ(footprint.copies_in(0), 0U);
  EXPECT_EQ(footprint.copies_in(3), 0U);
  EXPECT_EQ(footprint.copies_in(4), 1U);
  EXPECT_EQ(footprint.copies_in(8), 2U);
  EXPECT_GE(footprint.copies_in(footprint.megabytes_min()), 1U);
  EXPECT_EQ(footprint.of(2), 7U << 20);
}

TEST(Fingerprint, DependsOnEveryByteOfATextAndOnItsLength) {
  const auto sum = [](std::string_view text) {
    Fingerprint made;
    made.add_text(text);
    return made.value();
  };
  const std::string text = "seventeen letters";
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    ++other[i];
    EXPECT_NE(sum(other), sum(text)) << i;
  }
  EXPECT_EQ(sum(text), sum(std::string(text)));
  EXPECT_NE(sum(std::string("a\0", 2)), sum("a"));
  EXPECT_NE(sum(""), Fingerprint().value());
}

}  // namespace
}  // namespace fallow::guests
