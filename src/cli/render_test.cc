#include "cli/render.h"

#include <gmock/gmock.h>

namespace fallow::cli {
namespace {

using testing::HasSubstr;

node::VmView example_vm() {
  node::VmView vm;
  vm.name = "web";
  vm.size_bytes = std::uint64_t{1} << 30;
  vm.used = 256;
  vm.target = 384;
  vm.connected = true;
  vm.interval.puts_total = 10;
  vm.interval.puts_succ = 7;
  return vm;
}

TEST(Render, Vms_areATableInUnits) {
  EXPECT_EQ(render(std::vector{example_vm()}),
            "VM   STATE       SIZE   USED   TARGET  MIN  MAX  WEIGHT  BACKING  PUTS  FAILED  GETS  "
            "FLUSHES\n"
            "web  connected  1 GiB  1 MiB  1.5 MiB    -    -     100      0 B    10       3     0  "
            "      0\n");
}

TEST(Render, Quotas_areATableInUnits) {
  EXPECT_EQ(
      render(std::vector<node::QuotaView>{
          {.name = "web", .request = {}, .quota = {256, 512, 7}, .present = true}, {.name = "b"}}),
      "NAME  STATE       MIN    MAX  WEIGHT\n"
      "web   here      1 MiB  2 MiB       7\n"
      "b     not here      -      -     100\n");
}

TEST(Render, VmsAndClients_showTheirQuotas) {
  node::VmView vm = example_vm();
  EXPECT_THAT(render(vm), HasSubstr("minimum none, maximum none, weight 100\n"));
  vm.quota = {.min = 256, .max = 512, .weight = 7};
  EXPECT_THAT(render(vm), HasSubstr("minimum 1 MiB, maximum 2 MiB, weight 7\n"));
  EXPECT_THAT(render(std::vector{vm}), HasSubstr("1.5 MiB  1 MiB  2 MiB       7  "));
  node::ClientView client{.name = "c"};
  client.quota = {.min = 256, .max = 0};
  EXPECT_THAT(render(std::vector{client}), HasSubstr("  1 MiB  0 B     100  "));
}

TEST(Render, Node_tellsMemory) {
  node::NodeView node;
  node.frames_total = 1024;
  node.frames_free = 256;
  node.backing_speed = "hdd (emulated)";
  EXPECT_THAT(render(node), HasSubstr("3 MiB used of 4 MiB, 1 MiB free"));
  EXPECT_THAT(render(node), HasSubstr("speed: hdd (emulated)"));
}

TEST(Render, Vm_tellsFailures) {
  EXPECT_THAT(render(example_vm()), HasSubstr("10 puts (3 failed), 0 gets"));
}

TEST(Render, Explanation_hasFindingsAndChanges) {
  node::Explanation explanation;
  explanation.findings = {"It is so."};
  explanation.history.changes.resize(1);
  explanation.history.changes[0].target_before = 5;
  explanation.history.changes[0].target_after = 7;
  EXPECT_THAT(render(explanation), HasSubstr("  It is so.\n"));
  EXPECT_THAT(render(explanation), HasSubstr("5 -> 7"));
}

TEST(Render, Clients_tellWhatTheySay) {
  std::vector<node::ClientView> clients(2);
  clients[0].name = "pager";
  clients[0].report = {.age_ns = 1'200'000'000,
                       .ram_limit_pages = 512,
                       .resident_pages = 256,
                       .working_set_pages = 1024,
                       .interval_faults = 20,
                       .interval_evictions = 5};
  clients[1].name = "silent";
  const std::string text = render(clients);
  EXPECT_THAT(text, HasSubstr("SAYS OF ITS OWN MEMORY"));
  EXPECT_THAT(text, HasSubstr("1 MiB of 2 MiB, uses 4 MiB, 20 faults, 5 evictions, 1.2 s ago"));
  node::Explanation explanation;
  explanation.client = clients[1];
  EXPECT_THAT(render(explanation), HasSubstr("silent:\n"));
}

TEST(FormatNs, Scales) {
  EXPECT_EQ(format_ns(850), "850 ns");
  EXPECT_EQ(format_ns(1200), "1.2 us");
  EXPECT_EQ(format_ns(3'400'000), "3.4 ms");
  EXPECT_EQ(format_ns(2'000'000'000), "2.0 s");
}

}  // namespace
}  // namespace fallow::cli
