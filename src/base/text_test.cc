#include "base/text.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

TEST(ParseSize, units_scaleByPowersOf1024) {
  EXPECT_EQ(*parse_size("4096"), 4096u);
  EXPECT_EQ(*parse_size("512k"), 512u << 10);
  EXPECT_EQ(*parse_size("384M"), 384u << 20);
  EXPECT_EQ(*parse_size("2GiB"), 2ull << 30);
  EXPECT_EQ(*parse_size("1.5T"), 3ull << 39);
  EXPECT_EQ(*parse_size("0"), 0u);
}

TEST(ParseSize, nonsense_isRefused) {
  for (const char* bad : {"", "-1", "10Q", "M", "1..5G", "1G ", " 1G", "+5", "0x10", "1GG", "nan",
                          "9999999999T", "1e5", "."}) {
    const auto size = parse_size(bad);
    ASSERT_FALSE(size.ok()) << bad;
    EXPECT_EQ(size.error().code, ErrorCode::kInvalid);
  }
}

TEST(FormatSize, anyValue_isShort) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(384ull << 20), "384 MiB");
  EXPECT_EQ(format_size(3ull << 29), "1.5 GiB");
}

TEST(ParseDuration, units_scale) {
  EXPECT_EQ(*parse_duration_ns("250ms"), 250'000'000u);
  EXPECT_EQ(*parse_duration_ns("1.5s"), 1'500'000'000u);
  EXPECT_EQ(*parse_duration_ns("2m"), 120'000'000'000u);
  for (const char* bad : {"", "1", "1h", "-1s", "s", "1 s"}) {
    EXPECT_FALSE(parse_duration_ns(bad).ok()) << bad;
  }
}

TEST(ParseSpec, nameAndSettings_areSplit) {
  const auto spec = parse_spec("smart-alloc:P=2,threshold=64");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->name, "smart-alloc");
  EXPECT_EQ(spec->settings.at("P"), "2");
  EXPECT_EQ(spec->settings.at("threshold"), "64");
  EXPECT_TRUE(parse_spec("greedy")->settings.empty());
}

TEST(ParseSpec, badForm_isRefused) {
  for (const char* bad : {"", ":P=1", "a:", "a:P", "a:P=", "a:=1", "a:P=1,", "a:P=1,P=2", "a:,"}) {
    EXPECT_FALSE(parse_spec(bad).ok()) << bad;
  }
}

TEST(CheckName, pathsAndControls_areRefused) {
  EXPECT_TRUE(check_name("vm-1.a_B").ok());
  for (const char* bad : {"", "../x", ".hidden", "a/b", "a b", "a\n", "-x"}) {
    EXPECT_FALSE(check_name(bad).ok()) << bad;
  }
  EXPECT_FALSE(check_name(std::string(65, 'a')).ok());
}

TEST(FormatPages, HugeNumbers_doNotWrap) {
  EXPECT_EQ(format_pages(~std::uint64_t{0}), format_pages(~std::uint64_t{0} >> 12));
}

}  // namespace
}  // namespace fallow
