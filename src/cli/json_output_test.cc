#include "cli/json_output.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fallow::cli {
namespace {

using nlohmann::json;

TEST(ToJson, Snapshot_isOneLineWithNodeAndVms) {
  node::NodeSnapshot snapshot;
  snapshot.node.frames_total = 5;
  snapshot.vms.resize(2);
  snapshot.vms[1].name = "b";
  snapshot.vms[1].interval.puts_total = 7;
  const std::string text = to_json(snapshot);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed["node"]["frames_total"], 5);
  EXPECT_EQ(parsed["vms"][1]["name"], "b");
  EXPECT_EQ(parsed["vms"][1]["interval"]["puts_total"], 7);
}

TEST(ToJson, Explanation_hasFindingsAndChanges) {
  node::Explanation explanation;
  explanation.findings = {"x"};
  explanation.history.changes.resize(1);
  explanation.history.changes[0].target_after = 9;
  const json parsed = json::parse(to_json(explanation));
  EXPECT_EQ(parsed["findings"][0], "x");
  EXPECT_EQ(parsed["changes"][0]["target_after"], 9);
  EXPECT_TRUE(parsed["last_loss"].is_null());
  EXPECT_TRUE(parsed["reads_saved_by_tenth"].is_null());
}

TEST(ToJson, ExplanationWithALoss_saysToWhom) {
  node::Explanation explanation;
  explanation.history = {.known_ns = 3,
                         .last_loss = {{.change = {.target_before = 9, .target_after = 5},
                                        .rises = {{"b", 4}},
                                        .others = 1,
                                        .others_pages = 2}},
                         .reads_saved_by_tenth = 1.5};
  const json parsed = json::parse(to_json(explanation));
  EXPECT_EQ(parsed["known_ns"], 3);
  EXPECT_EQ(parsed["last_loss"]["target_before"], 9);
  EXPECT_EQ(parsed["last_loss"]["rises"][0]["name"], "b");
  EXPECT_EQ(parsed["last_loss"]["rises"][0]["pages"], 4);
  EXPECT_EQ(parsed["last_loss"]["others_pages"], 2);
  EXPECT_EQ(parsed["reads_saved_by_tenth"], 1.5);
}

TEST(ToJson, Quotas_arePagesAndNullWhereNothingIsSet) {
  EXPECT_EQ(to_json(std::vector<node::QuotaView>{
                {.name = "a", .request = {"1M", "", 7}, .quota = {.min = 256, .weight = 7}}}),
            "{\"quotas\":[{\"name\":\"a\",\"present\":false,"
            "\"quota\":{\"min\":256,\"max\":null,\"weight\":7},"
            "\"asked\":{\"min\":\"1M\",\"max\":null,\"weight\":7}}]}\n");
  node::NodeSnapshot snapshot;
  snapshot.vms.resize(1);
  snapshot.vms[0].quota.max = 5;
  snapshot.clients.resize(1);
  snapshot.clients[0].quota.weight = 6;
  const json parsed = json::parse(to_json(snapshot));
  EXPECT_EQ(parsed["vms"][0]["quota"]["max"], 5);
  EXPECT_EQ(parsed["clients"][0]["quota"]["weight"], 6);
  EXPECT_TRUE(parsed["clients"][0]["quota"]["max"].is_null());
}

TEST(ToJson, Clients_haveTheirReportOrNull) {
  std::vector<node::ClientView> clients(2);
  clients[1].report = {
      .age_ns = 5, .working_set_pages = 7, .interval_faults = 9, .curve = {{1, 2}}};
  const json parsed = json::parse(to_json(clients))["clients"];
  EXPECT_TRUE(parsed[0]["report"].is_null());
  EXPECT_EQ(parsed[1]["report"]["age_ns"], 5);
  EXPECT_EQ(parsed[1]["report"]["working_set_pages"], 7);
  EXPECT_EQ(parsed[1]["report"]["interval_faults"], 9);
  EXPECT_EQ(parsed[1]["report"]["curve"][0]["misses_per_million"], 2);
}

TEST(ToJson, ExplanationOfAClient_hasTheClient) {
  node::Explanation explanation;
  EXPECT_TRUE(json::parse(to_json(explanation)).contains("vm"));
  explanation.client = node::ClientView{.name = "c"};
  const json parsed = json::parse(to_json(explanation));
  EXPECT_FALSE(parsed.contains("vm"));
  EXPECT_EQ(parsed["client"]["name"], "c");
}

TEST(ToJson, EmptyLists_areLists) {
  EXPECT_EQ(to_json(std::vector<node::PolicyView>{}), "{\"policies\":[]}\n");
  EXPECT_EQ(to_json(std::vector<TomlError>{}), "{\"valid\":true,\"errors\":[]}\n");
}

TEST(ToJson, ConfigErrors_areListed) {
  const json parsed = json::parse(to_json(std::vector<TomlError>{{3, "bad"}}));
  EXPECT_EQ(parsed["valid"], false);
  EXPECT_EQ(parsed["errors"][0]["line"], 3);
}

TEST(ToJson, BytesThatAreNoUtf8_areReplaced) {
  node::VmView vm;
  vm.backing_path = "/\xff";
  EXPECT_FALSE(json::parse(to_json(vm), nullptr, false).is_discarded());
}

}  // namespace
}  // namespace fallow::cli
