#include "usemem/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace fallow::guests {
namespace {

using Parsed = std::variant<UsememOptions, std::string>;

Parsed parse(const std::vector<const char*>& arguments) {
  return parse_usemem_options(arguments);
}

TEST(UsememOptions, DefaultsAreTheDocuments) {
  const auto options = std::get<UsememOptions>(parse({}));
  EXPECT_EQ(options.step_bytes, 128U << 20);
  EXPECT_EQ(options.max_bytes, 1U << 30);
  EXPECT_FALSE(options.once);
}

TEST(UsememOptions, ReadsSizesWithAndWithoutUnits) {
  const auto options =
      std::get<UsememOptions>(parse({"--step", "4096", "--max", "32M", "--seed", "0", "--once"}));
  EXPECT_EQ(options.step_bytes, 4096U);
  EXPECT_EQ(options.max_bytes, 32U << 20);
  EXPECT_EQ(options.seed, 0U);
  EXPECT_TRUE(options.once);
}

TEST(UsememOptions, RefusesWithOneLine) {
  const std::vector<std::vector<const char*>> wrong = {
      {"--step", "-1"},   {"--step", "10Q"},
      {"--step", "0"},    {"--step", "5000"},
      {"--step", ""},     {"--step"},
      {"--max", "1M"},    {"--seed", "x"},
      {"--seed", "-1"},   {"--steps", "1"},
      {"128M"},           {"--step", "M"},
      {"--max", "2048G"}, {"--max", "99999999999999999999"}};
  for (const auto& arguments : wrong) {
    const Parsed parsed = parse(arguments);
    ASSERT_TRUE(std::holds_alternative<std::string>(parsed)) << arguments.back();
    EXPECT_EQ(std::get<std::string>(parsed).find('\n'), std::string::npos);
  }
}

TEST(UsememOptions, HelpIsAnOption) {
  EXPECT_TRUE(std::get<UsememOptions>(parse({"--help"})).help);
}

}  // namespace
}  // namespace fallow::guests
