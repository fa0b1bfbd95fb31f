#include "node/quotas.h"

#include <gmock/gmock.h>

#include "node/quota_rules.h"

namespace fallow::node {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kPages = 25600;  // 100 MiB

policy::Quota quota(const QuotaRequest& request) {
  const auto read = quota_of(request, kPages);
  EXPECT_TRUE(read.ok()) << read.error().text;
  return read.ok() ? *read : policy::Quota{};
}

std::string error_of(const QuotaRequest& request) {
  const auto read = quota_of(request, kPages);
  EXPECT_FALSE(read.ok());
  if (read.ok()) {
    return "";
  }
  EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read.error().text.find('\n'), std::string::npos);
  return read.error().text;
}

TEST(QuotaOf, SizesAndPercentages_arePages) {
  EXPECT_EQ(quota({}), policy::Quota{});
  EXPECT_EQ(quota({.min = "64M"}).min, 16384u);
  EXPECT_EQ(quota({.min = "10%", .max = "50.5%"}), (policy::Quota{.min = 2560, .max = 12928}));
  EXPECT_EQ(quota({.min = "0"}).min, 0u);
  EXPECT_EQ(quota({.min = "0.001%"}).min, 0u);
  EXPECT_EQ(quota({.max = "100%"}).max, kPages);
  EXPECT_EQ(quota({.max = "1T"}).max, std::uint64_t{1} << 28);
  EXPECT_EQ(quota({.max = "none"}).max, policy::Quota::kNoMax);
  EXPECT_EQ(quota({.weight = 10'000}).weight, 10'000u);
}

TEST(QuotaOf, BadBounds_areOneLine) {
  EXPECT_EQ(error_of({.min = "5000"}),
            "min: '5000' must be a size in whole pages of 4096 bytes such as \"64M\", or a "
            "percentage of the node up to 100 such as \"10%\"");
  EXPECT_EQ(error_of({.max = "lots"}),
            "max: 'lots' must be a size in whole pages of 4096 bytes such as \"64M\", or a "
            "percentage of the node up to 100 such as \"10%\", or \"none\"");
  for (const char* bound :
       {"none", "%", "-1%", "100.1%", "nan%", "inf%", "1e400%", "1%%", "-4096", "10Q", "9E"}) {
    EXPECT_THAT(error_of({.min = bound}), HasSubstr(std::string("min: '") + bound + "' must be"));
  }
}

TEST(QuotaOf, LongText_isRefused) {
  EXPECT_TRUE(quota_of({.min = std::string(31, '0') + "%"}, kPages).ok());
  EXPECT_THAT(error_of({.min = std::string(10'000, '0') + "%"}), HasSubstr("must be a size"));
}

TEST(QuotaOf, BadWeights_areOneLine) {
  EXPECT_EQ(error_of({.weight = 10'001}),
            "weight: '10001' must be a whole number from 1 to 10000; 100 is what others have");
  for (const char* weight : {"0", "-1", "1.5", "", "x", "10001", "4294967297"}) {
    EXPECT_FALSE(parse_quota_weight(weight).ok()) << weight;
  }
}

TEST(QuotaOf, MinimumAboveMaximum_isRefused) {
  EXPECT_EQ(error_of({.min = "10%", .max = "8M"}),
            "the minimum of 10 MiB is more than the maximum of 8 MiB: lower it, or raise the "
            "maximum");
  EXPECT_TRUE(quota_of({.min = "10%", .max = "10M"}, kPages).ok());
}

class QuotasTest : public testing::Test {
 protected:
  Status set(const std::string& name, const QuotaRequest& change) {
    return quotas_.set(name, change, Quotas::Origin::kCommand);
  }
  Quotas quotas_{kPages};
};

TEST_F(QuotasTest, Of_unknownName_isTheDefault) {
  EXPECT_EQ(quotas_.of("a"), policy::Quota{});
  EXPECT_FALSE(quotas_.find("a").has_value());
}

TEST_F(QuotasTest, Set_leavesWhatIsNotSaid) {
  ASSERT_TRUE(set("a", {.min = "4M", .weight = 50}).ok());
  ASSERT_TRUE(set("a", {.max = "8M"}).ok());
  EXPECT_EQ(quotas_.of("a"), (policy::Quota{.min = 1024, .max = 2048, .weight = 50}));
  ASSERT_TRUE(set("a", {.max = "none"}).ok());
  EXPECT_EQ(quotas_.of("a").max, policy::Quota::kNoMax);
  EXPECT_EQ(quotas_.list().size(), 1u);
}

TEST_F(QuotasTest, Set_badChange_leavesItAsItWas) {
  ASSERT_TRUE(set("a", {.min = "4M"}).ok());
  EXPECT_FALSE(set("a", {.max = "2M"}).ok());
  EXPECT_FALSE(set("a", {.min = "x"}).ok());
  EXPECT_FALSE(set("bad name", {.min = "4M"}).ok());
  EXPECT_EQ(quotas_.of("a"), (policy::Quota{.min = 1024}));
}

TEST_F(QuotasTest, Set_minimumsBeyondTheNode_areRefused) {
  ASSERT_TRUE(set("a", {.min = "60%"}).ok());
  ASSERT_TRUE(set("b", {.min = "40%"}).ok());
  const Status third = set("c", {.min = "4K"});
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().text,
            "the minimums would add up to 100.0 MiB, and the node has 100 MiB: ask for less, or "
            "lower another one (fallow quota list)");
  EXPECT_EQ(third.error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(set("a", {.min = "60M"}).ok());  // its own is not counted twice
  EXPECT_TRUE(set("c", {.weight = 5}).ok());
  EXPECT_FALSE(set("a", {.min = "8000000T"}).ok());
}

TEST_F(QuotasTest, Clear_makesRoomForAnother) {
  ASSERT_TRUE(set("a", {.min = "100%"}).ok());
  ASSERT_TRUE(quotas_.clear("a").ok());
  EXPECT_EQ(quotas_.of("a"), policy::Quota{});
  EXPECT_TRUE(set("b", {.min = "100%"}).ok());
  EXPECT_EQ(quotas_.clear("a").error().code, ErrorCode::kNotFound);
}

TEST_F(QuotasTest, PutBack_isAsBefore) {
  ASSERT_TRUE(set("a", {.min = "4M"}).ok());
  const auto before = quotas_.find("a");
  ASSERT_TRUE(set("a", {.min = "8M"}).ok());
  quotas_.put_back("a", before);
  EXPECT_EQ(quotas_.of("a").min, 1024u);
  quotas_.put_back("a", std::nullopt);
  EXPECT_FALSE(quotas_.find("a").has_value());
}

TEST_F(QuotasTest, Set_tooMany_areRefused) {
  for (std::size_t i = 0; i < Quotas::kQuotasMax; ++i) {
    ASSERT_TRUE(set("n" + std::to_string(i), {.weight = 5}).ok());
  }
  EXPECT_THAT(set("one-more", {.weight = 5}).error().text, HasSubstr("4096 quotas already"));
  EXPECT_TRUE(set("n0", {.weight = 6}).ok());
}

}  // namespace
}  // namespace fallow::node
