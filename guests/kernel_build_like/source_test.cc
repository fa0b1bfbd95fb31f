#include "kernel_build_like/source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernel_build_like/options.h"

namespace fallow::guests {
namespace {

TEST(Source, IsTheSameEveryTimeAndDependsOnSeedNumberAndSize) {
  const std::string source = unit_source({1, 2, 3});
  EXPECT_EQ(source, unit_source({1, 2, 3}));
  EXPECT_NE(source, unit_source({2, 2, 3}));
  EXPECT_NE(source, unit_source({1, 3, 3}));
  EXPECT_NE(source, unit_source({1, 2, 4}));
}

// The number was printed by what a compiler made of the source.
TEST(Source, ValueIsWhatTheCompiledSourceReturns) {
  EXPECT_EQ(unit_value({1, 0, 1}), 0xaf48aabf54784786U);
  EXPECT_EQ(unit_value({1, 0, 8}), 0xc986af3730aeb44dU);
}

TEST(Source, ValuesDiffer) {
  std::set<std::uint64_t> values;
  for (const std::uint64_t seed : {0, 1, 2}) {
    for (const std::uint64_t number : {0, 1, 2}) {
      for (const std::uint64_t parts : {1, 2, 3}) {
        EXPECT_TRUE(values.insert(unit_value({seed, number, parts})).second);
      }
    }
  }
}

TEST(Source, EveryFourthUnitIsTheLargest) {
  for (const auto& [number, parts] : {std::pair{0, 16}, {1, 8}, {2, 4}, {3, 2}, {4, 16}, {5, 8}}) {
    EXPECT_EQ(make_unit(1, static_cast<std::uint64_t>(number), 16).parts,
              static_cast<std::uint64_t>(parts));
  }
  EXPECT_EQ(make_unit(1, 3, 1).parts, 1U);
}

TEST(Source, MainCallsEveryUnit) {
  const std::string source = main_source(3);
  for (const char* call : {"unit_0());", "unit_1());", "unit_2());"}) {
    EXPECT_NE(source.find(call), std::string::npos) << source;
  }
  const std::string output = main_output(1, 3, 4);
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 3);
  EXPECT_EQ(output.size(), 3U * 17);
}

TEST(Source, GrowsWithTheMemoryThatItMayTake) {
  EXPECT_GE(parts_in(kCompileMegabytesMin), 1U);
  EXPECT_GT(parts_in(256), parts_in(128));
}

TEST(BuildOptions, RefusesACompilerThatIsNotThere) {
  const std::vector<const char*> arguments = {"--compiler", "no-such-compiler"};
  EXPECT_EQ(std::get<std::string>(parse_build_options(arguments)),
            "kernel-build-like: no program 'no-such-compiler': install g++, or name a C++ compiler "
            "with --compiler PATH");
}

}  // namespace
}  // namespace fallow::guests
