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
            "VM   STATE       SIZE   USED   TARGET  BACKING  PUTS  FAILED  GETS  FLUSHES\n"
            "web  connected  1 GiB  1 MiB  1.5 MiB      0 B    10       3     0        0\n");
}

TEST(Render, Node_tellsMemory) {
  node::NodeView node;
  node.frames_total = 1024;
  node.frames_free = 256;
  EXPECT_THAT(render(node), HasSubstr("3 MiB used of 4 MiB, 1 MiB free"));
}

TEST(Render, Vm_tellsFailures) {
  EXPECT_THAT(render(example_vm()), HasSubstr("10 puts (3 failed), 0 gets"));
}

TEST(Render, Explanation_hasFindingsAndChanges) {
  node::Explanation explanation;
  explanation.findings = {"It is so."};
  explanation.changes.resize(1);
  explanation.changes[0].target_before = 5;
  explanation.changes[0].target_after = 7;
  EXPECT_THAT(render(explanation), HasSubstr("  It is so.\n"));
  EXPECT_THAT(render(explanation), HasSubstr("5 -> 7"));
}

TEST(FormatNs, Scales) {
  EXPECT_EQ(format_ns(850), "850 ns");
  EXPECT_EQ(format_ns(1200), "1.2 us");
  EXPECT_EQ(format_ns(3'400'000), "3.4 ms");
  EXPECT_EQ(format_ns(2'000'000'000), "2.0 s");
}

TEST(FormatPages, HugeNumbers_doNotWrap) {
  EXPECT_EQ(format_pages(~std::uint64_t{0}), format_pages(~std::uint64_t{0} >> 12));
}

}  // namespace
}  // namespace fallow::cli
