#include "common/options.h"

#include <gtest/gtest.h>

namespace fallow::guests {
namespace {

struct Values {
  bool help = false;
  bool fast = false;
  std::string file;
  std::uint64_t count = 5;
  std::uint64_t seed = 1;
};

std::string parse(const std::vector<const char*>& arguments, Values& values) {
  Options table("program", values.help);
  table.flag("--fast", values.fast);
  table.text("--file", values.file);
  table.count("--count", values.count, {2, 9});
  table.count("--seed", values.seed);
  return table.parse(arguments);
}

TEST(Options, FillsInWhatIsGivenAndKeepsTheRest) {
  Values values;
  EXPECT_EQ(parse({"--file", "a b", "--fast", "--seed", "18446744073709551615"}, values), "");
  EXPECT_EQ(values.file, "a b");
  EXPECT_TRUE(values.fast);
  EXPECT_FALSE(values.help);
  EXPECT_EQ(values.count, 5U);
  EXPECT_EQ(values.seed, UINT64_MAX);
}

TEST(Options, SaysWhatIsWrongAndHowToMendIt) {
  Values values;
  EXPECT_EQ(parse({"--slow"}, values), "program: no option '--slow': see program --help");
  EXPECT_EQ(parse({"--file"}, values), "program: --file needs a value: a file's name");
  EXPECT_EQ(parse({"--file", ""}, values), "program: --file '' is not a file's name");
  EXPECT_EQ(parse({"--seed", "x"}, values), "program: --seed 'x' is not a whole number");
  for (const char* count : {"1", "10", "-3", "3x", "", " 3", "99999999999999999999"}) {
    EXPECT_EQ(parse({"--count", count}, values),
              "program: --count '" + std::string(count) + "' is not a whole number from 2 to 9");
  }
  EXPECT_EQ(values.count, 5U);
}

TEST(Options, HelpHasTwoNames) {
  for (const char* name : {"--help", "-h"}) {
    Values values;
    EXPECT_EQ(parse({name}, values), "");
    EXPECT_TRUE(values.help);
  }
}

}  // namespace
}  // namespace fallow::guests
