#include "node/explain.h"

#include <gmock/gmock.h>

namespace fallow::node {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

VmView vm_with(std::uint64_t used, std::uint64_t target) {
  VmView vm{.name = "a", .connected = true, .used = used, .target = target};
  vm.total.puts_total = vm.total.puts_succ = 10;
  vm.reason = "20 puts failed";
  return vm;
}

NodeView node_with(std::uint64_t free) {
  return {.frames_total = 1000, .frames_free = free, .policy = "smart-alloc:P=2,threshold=64"};
}

TEST(Explain, UnderTarget_saysHowManyFit) {
  EXPECT_THAT(explain(vm_with(90, 100), node_with(10), {})[0], HasSubstr("10 more fit."));
}

TEST(Explain, UnderTargetButNodeFull_saysSo) {
  EXPECT_THAT(explain(vm_with(90, 100), node_with(0), {})[0], HasSubstr("no free frame"));
}

TEST(Explain, AtTarget_saysRefused) {
  EXPECT_THAT(explain(vm_with(100, 100), node_with(10), {})[0], HasSubstr("refused"));
}

TEST(Explain, OverTarget_saysByHowMuchAndWhatHappens) {
  VmView vm = vm_with(150, 100);
  EXPECT_THAT(explain(vm, node_with(10), {})[0], HasSubstr("50 over its target of 100"));
  EXPECT_THAT(explain(vm, node_with(10), {})[0], HasSubstr("demotion is off"));
  vm.demotion_pages_per_second = 4096;
  EXPECT_THAT(explain(vm, node_with(10), {})[0], HasSubstr("4096 a second"));
}

TEST(Explain, TargetZero_saysClosed) {
  EXPECT_THAT(explain(vm_with(0, 0), node_with(10), {})[0], HasSubstr("closed"));
}

TEST(Explain, FailedPuts_counted) {
  VmView vm = vm_with(0, 10);
  vm.interval.puts_total = 5;
  vm.interval.puts_succ = 2;
  vm.total.puts_total = 100;
  vm.total.puts_succ = 60;
  EXPECT_THAT(explain(vm, node_with(10), {}),
              Contains("In the last interval 3 of 5 puts failed; since it came 40 of 100."));
}

TEST(Explain, Quota_isToldWhenThereIsOne) {
  VmView vm = vm_with(0, 10);
  EXPECT_THAT(explain(vm, node_with(10), {}), Not(Contains(HasSubstr("quota"))));
  vm.quota = {.min = 5, .weight = 200};
  EXPECT_THAT(explain(vm, node_with(10), {}),
              Contains("Its quota: minimum 5 pages, no maximum, weight 200."));
  ClientView client{.name = "c"};
  client.quota.max = 7;
  EXPECT_THAT(explain(client, node_with(10), {}),
              Contains("Its quota: minimum 0 pages, maximum 7 pages, weight 100."));
}

TEST(Explain, LastChange_hasAgeAndReason) {
  const TargetHistory history{.changes = {{.age_ns = 3'200'000'000,
                                           .target_before = 500,
                                           .target_after = 514,
                                           .reason = "because"}}};
  EXPECT_THAT(explain(vm_with(0, 514), node_with(10), history),
              Contains("Its target last changed 3.2 s ago, from 500 to 514 pages: because."));
}

TEST(Explain, LastLoss_saysToWhom) {
  const TargetChange fall{
      .age_ns = 3'000'000'000, .target_before = 5000, .target_after = 3796, .reason = "because"};
  TargetHistory history{.changes = {fall}, .last_loss = {{.change = fall}}};
  const auto told = [&] { return explain(vm_with(0, 3796), node_with(10), history); };
  const std::string lost = "It last lost 1204 pages of its target 3.0 s ago, from 5000 to 3796, ";
  EXPECT_THAT(told(), Contains(lost + "while nobody's target rose: because."));
  history.last_loss->rises = {{"vm2", 900}};
  EXPECT_THAT(told(), Contains(lost + "to vm2 (+900): because."));
  history.last_loss->rises.push_back({"vm3", 304});
  EXPECT_THAT(told(), Contains(lost + "to vm2 (+900) and vm3 (+304): because."));
  history.last_loss->others = 2;
  history.last_loss->others_pages = 7;
  EXPECT_THAT(told(), Contains(lost + "to vm2 (+900), vm3 (+304) and 2 others (+7): because."));
  // The loss is the last change, which need not be told twice.
  EXPECT_THAT(told(), Not(Contains(HasSubstr("last changed"))));
  history.changes.insert(history.changes.begin(),
                         {.age_ns = 1'000'000'000, .target_before = 3796, .target_after = 3800});
  EXPECT_THAT(told(), Contains(HasSubstr("last changed 1.0 s ago, from 3796 to 3800")));
  EXPECT_THAT(told(), Contains(HasSubstr("last lost 1204")));
}

TEST(Explain, NeverLost_saysSinceWhen) {
  const TargetHistory history{.known_ns = 300'000'000'000,
                              .changes = {{.target_before = 5, .target_after = 6}}};
  EXPECT_THAT(explain(vm_with(0, 6), node_with(10), history),
              Contains("It has lost nothing since it came, or the daemon began, 5 min ago."));
}

TEST(Explain, ReadsKnown_saysWhatATenthMoreWouldSave) {
  EXPECT_THAT(explain(vm_with(0, 514), node_with(10), {}), Not(Contains(HasSubstr("10%"))));
  EXPECT_THAT(
      explain(vm_with(0, 514), node_with(10), {.reads_saved_by_tenth = 20}),
      Contains("With 51 pages (10%) more it would have read its backing store 20 times less "
               "of late."));
  EXPECT_THAT(explain(ClientView{.target = 514}, node_with(10), {.reads_saved_by_tenth = 0.25}),
              Contains(HasSubstr("0.25 times less")));
}

TEST(Explain, NothingDecided_saysInitial) {
  VmView vm = vm_with(0, 10);
  vm.reason.clear();
  EXPECT_THAT(explain(vm, node_with(10), {}), Contains(HasSubstr("initial")));
}

TEST(Explain, Disconnected_saysSo) {
  VmView vm = vm_with(0, 10);
  EXPECT_THAT(explain(vm, node_with(10), {}), Not(Contains(HasSubstr("front end"))));
  vm.connected = false;
  EXPECT_THAT(explain(vm, node_with(10), {}), Contains(HasSubstr("No front end")));
}

TEST(Explain, Client_standsAsItDoes) {
  ClientView client{.name = "c", .connected = true, .used = 90, .target = 100};
  EXPECT_THAT(explain(client, node_with(10), {})[0], HasSubstr("10 more fit."));
  client.used = 100;
  EXPECT_THAT(explain(client, node_with(10), {})[0], HasSubstr("refused"));
  client.used = 150;
  EXPECT_THAT(explain(client, node_with(10), {})[0], HasSubstr("50 over its target of 100"));
  EXPECT_THAT(explain(client, node_with(10), {}), Not(Contains(HasSubstr("wait"))));
  client.connected = false;
  EXPECT_THAT(explain(client, node_with(10), {}), Contains(HasSubstr("its pages wait")));
  client = {.name = "c", .connected = true};
  EXPECT_THAT(explain(client, node_with(10), {})[0], HasSubstr("closed"));
}

TEST(Explain, ClientThatReports_isQuotedAndNotBelieved) {
  ClientView client{.name = "c", .connected = true, .used = 90, .target = 100};
  EXPECT_THAT(explain(client, node_with(10), {}), Not(Contains(HasSubstr("pager"))));
  client.report = {.age_ns = 1'200'000'000,
                   .ram_limit_pages = 65536,
                   .resident_pages = 64000,
                   .prefetched_total = 10,
                   .prefetch_hits_total = 8,
                   .backing_pages = 256,
                   .working_set_pages = 79360,
                   .interval_ns = 1'000'000'000,
                   .interval_faults = 20,
                   .interval_evictions = 5,
                   .curve = {{0, 1'000'000}, {131072, 10'000}}};
  const auto findings = explain(client, node_with(10), {});
  EXPECT_THAT(findings,
              Contains("Its pager says (1.2 s ago; nobody has checked): limit 256 MiB, resident "
                       "250 MiB, working set 310 MiB, 1 MiB in a store of its own."));
  EXPECT_THAT(findings, Contains("Its pager says: 20 faults and 5 evictions in the 1.0 s before "
                                 "that."));
  EXPECT_THAT(findings, Contains("Its pager says: of 10 pages brought in ahead 8 were wanted."));
  EXPECT_THAT(findings, Contains("By its pager's curve 50.5% of its references miss at that "
                                 "limit, 1.0% with 512 MiB."));
}

TEST(FormatAge, Scales) {
  EXPECT_EQ(format_age(1'500'000'000), "1.5 s");
  EXPECT_EQ(format_age(300'000'000'000), "5 min");
  EXPECT_EQ(format_age(9'000'000'000'000), "2.5 h");
}

}  // namespace
}  // namespace fallow::node
