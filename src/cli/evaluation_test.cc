#include "cli/evaluation.h"

#include <gmock/gmock.h>

namespace fallow::cli {
namespace {

using testing::HasSubstr;

constexpr char kExample[] =
    R"({"node":{"total":1000},"vms":[)"
    R"({"id":"a","target":500,"used":500,"puts_total":100,"puts_succ":80,"cumul_puts_failed":20},)"
    R"({"id":"b","target":400,"used":100,"puts_total":10,"puts_succ":10},)"
    R"({"id":"c","target":100,"used":90,"puts_total":0,"puts_succ":0}]})";

std::string evaluated(const char* spec) {
  const auto output = evaluate(spec, kExample);
  EXPECT_TRUE(output.ok());
  return output.ok() ? *output : output.error().text;
}

std::string error_of(const std::string& json) {
  const auto output = evaluate("greedy", json);
  EXPECT_FALSE(output.ok()) << json;
  if (output.ok()) {
    return "";
  }
  EXPECT_EQ(output.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(output.error().text.find('\n'), std::string::npos) << output.error().text;
  return output.error().text;
}

// An input whose only VM is `vm`.
std::string vm_error(const std::string& vm) {
  return error_of(R"({"node":{"total":1},"vms":[)" + vm + "]}");
}

TEST(Evaluate, WorkedExample_smartAlloc) {
  EXPECT_EQ(evaluated("smart-alloc:P=2,threshold=50"),
            "{\"vms\":["
            "{\"id\":\"a\",\"target\":514,\"reason\":\"20 puts failed: +20 pages (P=2% of 1000); "
            "all targets scaled by 1000/1012\"},"
            "{\"id\":\"b\",\"target\":387,\"reason\":\"300 of 400 pages unused, more than the "
            "threshold of 50: -8 pages (P=2%); all targets scaled by 1000/1012\"},"
            "{\"id\":\"c\",\"target\":99,\"reason\":\"no put failed and 10 pages unused, no more "
            "than the threshold of 50: kept; all targets scaled by 1000/1012\"}]}\n");
}

TEST(Evaluate, WorkedExample_staticAlloc) {
  const std::string output = evaluated("static-alloc");
  EXPECT_THAT(output, HasSubstr("\"a\",\"target\":334"));
  EXPECT_THAT(output, HasSubstr("\"b\",\"target\":333"));
  EXPECT_THAT(output, HasSubstr("\"c\",\"target\":333"));
}

TEST(Evaluate, WorkedExample_reconfStatic) {
  const std::string output = evaluated("reconf-static");
  EXPECT_THAT(output, HasSubstr("\"a\",\"target\":1000"));
  EXPECT_THAT(output, HasSubstr("\"b\",\"target\":0"));
  EXPECT_THAT(output, HasSubstr("\"c\",\"target\":0"));
}

TEST(Evaluate, NoVms_emptyList) {
  EXPECT_EQ(*evaluate("smart-alloc", R"({"node":{"total":0},"vms":[]})"), "{\"vms\":[]}\n");
}

TEST(Evaluate, UnknownPolicy_refused) {
  EXPECT_EQ(evaluate("clever", kExample).error().code, ErrorCode::kInvalid);
}

TEST(ParseStatistics, LargestNumbers_areRead) {
  const auto statistics = parse_statistics(
      R"({"node":{"total":18446744073709551615},"vms":[{"id":"a","target":18446744073709551615,)"
      R"("used":0,"puts_total":0,"puts_succ":0}]})");
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->total, ~std::uint64_t{0});
}

TEST(ParseStatistics, NotJson_refused) {
  for (const char* json : {"", "{", "nonsense", "{\"node\":{\"total\":1},\"vms\":[]} x", "\xff"}) {
    EXPECT_THAT(error_of(json), HasSubstr("not JSON"));
  }
}

TEST(ParseStatistics, DeepNesting_refused) {
  EXPECT_FALSE(error_of(std::string(100'000, '[')).empty());
  EXPECT_FALSE(error_of(std::string(100'000, '[') + std::string(100'000, ']')).empty());
}

TEST(ParseStatistics, WrongShape_refused) {
  EXPECT_THAT(error_of("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("lacks 'node'"));
  EXPECT_THAT(error_of(R"({"node":{"total":1}})"), HasSubstr("lacks 'vms'"));
  EXPECT_THAT(error_of(R"({"node":{},"vms":[]})"), HasSubstr("lacks 'total'"));
  EXPECT_THAT(error_of(R"({"node":5,"vms":[]})"), HasSubstr("'node' must be an object"));
  EXPECT_THAT(error_of(R"({"node":{"total":1},"vms":{}})"), HasSubstr("must be a list"));
  EXPECT_THAT(vm_error("5"), HasSubstr("vms[0] must be an object"));
}

TEST(ParseStatistics, BadNumbers_refused) {
  for (const char* total : {"-1", "1.5", "1e3", "\"1\"", "null", "true", "18446744073709551616"}) {
    EXPECT_THAT(error_of(std::string(R"({"node":{"total":)") + total + R"(},"vms":[]})"),
                HasSubstr("whole number"))
        << total;
  }
  EXPECT_THAT(vm_error(R"({"id":"a","target":1,"used":-5,"puts_total":0,"puts_succ":0})"),
              HasSubstr("'used'"));
}

TEST(ParseStatistics, MissingFields_refused) {
  EXPECT_THAT(vm_error(R"({"target":1,"used":1,"puts_total":0,"puts_succ":0})"), HasSubstr("'id'"));
  EXPECT_THAT(vm_error(R"({"id":"a","used":1,"puts_total":0,"puts_succ":0})"),
              HasSubstr("lacks 'target'"));
  EXPECT_THAT(vm_error(R"({"id":"a","target":1,"used":1,"puts_total":0})"),
              HasSubstr("lacks 'puts_succ'"));
}

TEST(ParseStatistics, BadIds_refused) {
  EXPECT_THAT(vm_error(R"({"id":5,"target":1,"used":1,"puts_total":0,"puts_succ":0})"),
              HasSubstr("'id'"));
  const std::string vm = R"({"id":"a","target":1,"used":1,"puts_total":0,"puts_succ":0})";
  EXPECT_THAT(vm_error(vm + "," + vm), HasSubstr("two VMs have the id \"a\""));
}

TEST(ParseStatistics, UnknownOrDoubleKeys_refused) {
  EXPECT_THAT(error_of(R"({"node":{"total":1},"vms":[],"x":1})"), HasSubstr("unknown key \"x\""));
  EXPECT_THAT(vm_error(R"({"id":"a","target":1,"used":1,"puts_total":0,"puts_succ":0,"cumul":1})"),
              HasSubstr("unknown key \"cumul\""));
  EXPECT_THAT(error_of(R"({"node":{"total":1,"total":2},"vms":[]})"), HasSubstr("twice"));
}

TEST(Evaluate, Quotas_areHonoured) {
  const auto output = evaluate(
      "greedy",
      R"({"node":{"total":1000},"vms":[)"
      R"({"id":"a","target":0,"used":0,"puts_total":0,"puts_succ":0,"min":400},)"
      R"({"id":"b","target":0,"used":600,"puts_total":0,"puts_succ":0},)"
      R"({"id":"c","target":0,"used":0,"puts_total":0,"puts_succ":0,"max":0,"weight":1}]})");
  ASSERT_TRUE(output.ok()) << output.error().text;
  EXPECT_EQ(
      *output,
      "{\"vms\":["
      "{\"id\":\"a\",\"target\":400,\"reason\":\"first come, first served: any VM may hold all "
      "1000 pages; lowered to 400 pages, which leaves minimums their room\"},"
      "{\"id\":\"b\",\"target\":600,\"reason\":\"first come, first served: any VM may hold all "
      "1000 pages; lowered to 600 pages, which leaves minimums their room\"},"
      "{\"id\":\"c\",\"target\":0,\"reason\":\"first come, first served: any VM may hold all "
      "1000 pages; lowered to its maximum of 0 pages\"}]}\n");
}

TEST(ParseStatistics, BadQuotas_refused) {
  const auto error = [](const std::string& quota) {
    return vm_error(R"({"id":"a","target":1,"used":1,"puts_total":0,"puts_succ":0,)" + quota + "}");
  };
  EXPECT_EQ(error(R"("min":7,"max":6)"), "vms[0]: min is 7, more than max, which is 6");
  EXPECT_EQ(error(R"("weight":0)"), "vms[0]: 'weight' must be from 1 to 10000, not 0");
  EXPECT_EQ(error(R"("weight":10001)"), "vms[0]: 'weight' must be from 1 to 10000, not 10001");
  EXPECT_EQ(error(R"("weight":4294967396)"),
            "vms[0]: 'weight' must be from 1 to 10000, not 4294967396");
  EXPECT_THAT(error(R"("min":-1)"), HasSubstr("'min' must be a whole number"));
}

TEST(ParseStatistics, MoreSucceededThanIssued_refused) {
  EXPECT_THAT(vm_error(R"({"id":"a","target":1,"used":1,"puts_total":1,"puts_succ":2})"),
              HasSubstr("more than puts_total"));
}

}  // namespace
}  // namespace fallow::cli
