#include "node/controller.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "node/interval_thread.h"

namespace fallow::node {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class FakeAccounts final : public FrameAccounts {
 public:
  [[nodiscard]] std::uint64_t total_frames() const override { return total; }
  [[nodiscard]] std::vector<tmem::ClientStatistics> take_interval() override {
    std::vector<tmem::ClientStatistics> taken = clients;
    for (tmem::ClientStatistics& client : clients) {
      client.interval = {};
    }
    return taken;
  }
  void set_target(ClientId client, std::uint64_t pages) override {
    sent.emplace_back(client.value, pages);
    for (tmem::ClientStatistics& candidate : clients) {
      if (candidate.id == client) {
        candidate.target = pages;
      }
    }
  }

  [[nodiscard]] policy::Quota quota_of(const std::string& name) const override {
    const auto found = quotas.find(name);
    return found == quotas.end() ? policy::Quota{} : found->second;
  }

  tmem::ClientStatistics& add(std::uint32_t id, const std::string& name, std::uint64_t target) {
    tmem::ClientStatistics client;
    client.id = ClientId(id);
    client.name = name;
    client.target = client.used = target;
    clients.push_back(client);
    return clients.back();
  }
  void put(std::size_t i, std::uint64_t total_puts, std::uint64_t succeeded) {
    clients[i].interval.puts_total += total_puts;
    clients[i].interval.puts_succ += succeeded;
    clients[i].total.puts_total += total_puts;
    clients[i].total.puts_succ += succeeded;
  }

  std::uint64_t total = 1000;
  std::vector<tmem::ClientStatistics> clients;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sent;
  std::map<std::string, policy::Quota> quotas;
};

std::unique_ptr<policy::Policy> policy_of(const char* spec) {
  return *policy::make_policy(spec);
}

class ControllerTest : public testing::Test {
 protected:
  Controller& controller(const char* spec, std::size_t history_max = 10) {
    controller_ = std::make_unique<Controller>(accounts_, clock_, policy_of(spec), history_max);
    return *controller_;
  }

  FakeAccounts accounts_;
  ManualClock clock_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(ControllerTest, Tick_failedPuts_raiseTheTarget) {
  accounts_.add(1, "a", 100);
  accounts_.put(0, 10, 5);
  controller("smart-alloc:P=2").tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 120)));
}

TEST_F(ControllerTest, Tick_nothingHappened_policyIsNotAsked) {
  accounts_.add(1, "a", 100);
  Controller& controller = this->controller("smart-alloc:P=2");
  accounts_.put(0, 10, 5);
  controller.tick();
  controller.tick();
  controller.tick();
  EXPECT_EQ(controller.figures().intervals, 3u);
  EXPECT_EQ(controller.figures().decisions, 1u);
  EXPECT_EQ(controller.history().size(), 1u);
}

TEST_F(ControllerTest, Tick_idleVmsUnderSmartAlloc_startAndStayAtEqualShares) {
  Controller& controller = this->controller("smart-alloc:P=2");
  for (const char* name : {"a", "b", "c"}) {
    const auto id = static_cast<std::uint32_t>(accounts_.clients.size() + 1);
    accounts_.add(id, name, controller.initial_target(id)).used = 0;
    controller.tick();
    controller.tick();
  }
  for (const tmem::ClientStatistics& client : accounts_.clients) {
    EXPECT_EQ(client.target, 333u);
  }
}

TEST_F(ControllerTest, Tick_vmComesWhileOthersAreBusy_theirTargetsAreScaled) {
  Controller& controller = this->controller("smart-alloc:P=2");
  accounts_.add(1, "a", 1000);
  accounts_.put(0, 1, 1);
  controller.tick();
  accounts_.add(2, "b", controller.initial_target(2)).used = 0;
  controller.tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 667), Pair(2, 333)));
}

TEST_F(ControllerTest, Tick_quotaOfAName_boundsItsTarget) {
  accounts_.quotas["a"] = {.min = 300, .max = 400, .weight = 200};
  accounts_.add(1, "a", 380);
  accounts_.add(2, "b", 100);
  accounts_.put(0, 10, 5);
  Controller& controller = this->controller("smart-alloc:P=2");
  controller.tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 400)));
  EXPECT_EQ(controller.history().back().statistics.vms[0].quota, accounts_.quotas["a"]);
  EXPECT_EQ(controller.recall(ClientId(1)).reason,
            "5 puts failed: +40 pages (P=2% of 1000, by weight 200); lowered to its maximum of 400 "
            "pages");
}

TEST_F(ControllerTest, QuotasChanged_nothingHappened_isDecidedAtOnce) {
  accounts_.add(1, "a", 1000).used = 900;
  accounts_.add(2, "b", 1000).used = 0;
  Controller& controller = this->controller("greedy");
  controller.tick();
  EXPECT_THAT(accounts_.sent, IsEmpty());
  accounts_.quotas["b"] = {.min = 300};
  controller.quotas_changed();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 700), Pair(2, 300)));
  EXPECT_THAT(controller.recall(ClientId(1)).history.changes.at(0).reason,
              HasSubstr("minimums their room"));
  controller.tick();
  EXPECT_EQ(accounts_.sent.size(), 2u);
  accounts_.quotas.clear();
  controller.quotas_changed();
  EXPECT_EQ(accounts_.clients[0].target, 1000u);
  EXPECT_EQ(accounts_.clients[1].target, 1000u);
}

TEST_F(ControllerTest, Tick_freshVmsUnderSmartAlloc_startWithSharesByWeight) {
  accounts_.quotas["b"] = {.weight = 300};
  Controller& controller = this->controller("smart-alloc:P=2");
  accounts_.add(1, "a", controller.initial_target(1, "a")).used = 0;
  EXPECT_EQ(accounts_.clients[0].target, 1000u);
  controller.tick();
  accounts_.add(2, "b", controller.initial_target(2, "b")).used = 0;
  EXPECT_EQ(accounts_.clients[1].target, 750u);
  controller.tick();
  EXPECT_EQ(accounts_.clients[0].target, 250u);
  EXPECT_EQ(accounts_.clients[1].target, 750u);
}

TEST_F(ControllerTest, InitialTarget_ofAName_isWithinItsQuota) {
  accounts_.quotas["a"] = {.min = 100, .max = 200};
  EXPECT_EQ(controller("greedy").initial_target(4, "a"), 200u);
  EXPECT_EQ(controller("greedy").initial_target(4, "b"), 1000u);
  EXPECT_EQ(controller("reconf-static").initial_target(4, "a"), 100u);
  EXPECT_EQ(controller("no-tmem").initial_target(4, "a"), 0u);
}

TEST_F(ControllerTest, Tick_getsAndFlushes_areOperationsToo) {
  accounts_.add(1, "a", 100);
  Controller& controller = this->controller("greedy");
  controller.tick();
  accounts_.clients[0].interval.gets_total = 1;
  controller.tick();
  accounts_.clients[0].interval.flushes_total = 1;
  controller.tick();
  EXPECT_EQ(controller.figures().decisions, 3u);
}

TEST_F(ControllerTest, Tick_targetUnchanged_notSent) {
  accounts_.add(1, "a", 1000);
  accounts_.put(0, 1, 1);
  controller("static-alloc").tick();
  EXPECT_THAT(accounts_.sent, IsEmpty());
}

TEST_F(ControllerTest, Tick_vmComesAndGoes_sharesFollow) {
  accounts_.add(1, "a", 1000);
  Controller& controller = this->controller("static-alloc");
  controller.tick();
  accounts_.add(2, "b", 0);
  controller.tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 500), Pair(2, 500)));
  accounts_.clients.erase(accounts_.clients.begin());
  controller.tick();
  EXPECT_THAT(accounts_.sent.back(), Pair(2, 1000));
}

TEST_F(ControllerTest, Tick_vmReplacedByOneOfTheSameName_isSeen) {
  accounts_.add(1, "a", 1000);
  Controller& controller = this->controller("greedy");
  controller.tick();
  accounts_.clients.clear();
  accounts_.add(2, "a", 0);
  controller.tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(2, 1000)));
}

TEST_F(ControllerTest, Tick_noVms_nothing) {
  Controller& controller = this->controller("static-alloc");
  controller.tick();
  EXPECT_EQ(controller.figures().decisions, 0u);
}

TEST_F(ControllerTest, Tick_reconfStatic_countsFailuresSinceTheVmCame) {
  accounts_.add(1, "a", 0);
  accounts_.add(2, "b", 0);
  Controller& controller = this->controller("reconf-static");
  accounts_.put(0, 3, 0);
  controller.tick();
  accounts_.put(1, 3, 0);
  controller.tick();
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 1000), Pair(1, 500), Pair(2, 500)));
}

TEST_F(ControllerTest, SetPolicy_takesEffectAtOnce) {
  accounts_.add(1, "a", 1000);
  accounts_.add(2, "b", 1000);
  Controller& controller = this->controller("greedy");
  const PolicySwitch done = controller.set_policy(policy_of("no-tmem"));
  EXPECT_EQ(done.previous, "greedy");
  EXPECT_EQ(done.spec, "no-tmem");
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 0), Pair(2, 0)));
  EXPECT_EQ(controller.figures().policy, "no-tmem");
}

TEST_F(ControllerTest, SetPolicy_anotherPolicy_startsFromItsInitialTargets) {
  accounts_.add(1, "a", 0).used = 0;
  accounts_.add(2, "b", 0).used = 500;
  controller("no-tmem").set_policy(policy_of("smart-alloc"));
  EXPECT_THAT(accounts_.sent, ElementsAre(Pair(1, 500), Pair(2, 500)));
}

TEST_F(ControllerTest, SetPolicy_sameWithOtherSettings_goesOnFromItsTargets) {
  accounts_.add(1, "a", 700);
  accounts_.add(2, "b", 300);
  accounts_.put(0, 1, 1);
  controller("smart-alloc:P=2").tick();
  controller_->set_policy(policy_of("smart-alloc:P=5"));
  EXPECT_THAT(accounts_.sent, IsEmpty());
}

TEST_F(ControllerTest, History_isBounded) {
  accounts_.add(1, "a", 0);
  Controller& controller = this->controller("greedy", 3);
  for (int i = 0; i < 10; ++i) {
    clock_.advance_ns(1);
    accounts_.put(0, 1, 1);
    controller.tick();
  }
  const auto history = controller.history();
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history.back().at_ns, 10u);
  EXPECT_EQ(history.back().statistics.vms[0].puts_total, 1u);
}

TEST_F(ControllerTest, History_manyVms_isBoundedByRows) {
  for (std::uint32_t id = 1; id <= 1000; ++id) {
    accounts_.add(id, "vm" + std::to_string(id), 0);
  }
  Controller& controller = this->controller("greedy", 1000);
  for (int i = 0; i < 80; ++i) {
    accounts_.put(0, 1, 1);
    controller.tick();
  }
  EXPECT_EQ(controller.history().size(), 65u);
}

TEST_F(ControllerTest, Recall_tellsChangesTheLatestFirstWithAge) {
  accounts_.add(1, "a", 100);
  Controller& controller = this->controller("smart-alloc:P=2");
  accounts_.put(0, 10, 5);
  controller.tick();
  clock_.advance_ns(1000);
  accounts_.put(0, 7, 0);
  controller.tick();
  clock_.advance_ns(500);
  const VmMemory memory = controller.recall(ClientId(1));
  ASSERT_EQ(memory.history.changes.size(), 2u);
  EXPECT_EQ(memory.history.changes[0].age_ns, 500u);
  EXPECT_EQ(memory.history.changes[0].target_before, 120u);
  EXPECT_EQ(memory.history.changes[0].target_after, 140u);
  EXPECT_EQ(memory.history.changes[0].puts_failed, 7u);
  EXPECT_EQ(memory.history.changes[1].age_ns, 1500u);
  EXPECT_THAT(memory.reason, HasSubstr("7 puts failed"));
  EXPECT_EQ(memory.interval.puts_total, 7u);
}

TEST_F(ControllerTest, Recall_afterAPolicyChange_tellsTheTrueTargetBefore) {
  accounts_.add(1, "a", 1000);
  accounts_.add(2, "b", 1000);
  Controller& controller = this->controller("greedy");
  controller.set_policy(policy_of("static-alloc"));
  const VmMemory memory = controller.recall(ClientId(1));
  ASSERT_EQ(memory.history.changes.size(), 1u);
  EXPECT_EQ(memory.history.changes[0].target_before, 1000u);
  EXPECT_EQ(memory.history.changes[0].target_after, 500u);
}

TEST_F(ControllerTest, Recall_manyChanges_keepsAFew) {
  accounts_.add(1, "a", 0);
  Controller& controller = this->controller("smart-alloc:P=1");
  for (int i = 0; i < 50; ++i) {
    accounts_.put(0, 1, 0);
    controller.tick();
  }
  EXPECT_EQ(controller.recall(ClientId(1)).history.changes.size(), 16u);
}

TEST_F(ControllerTest, Recall_lastLoss_tellsWhenAndToWhom) {
  accounts_.add(1, "a", 600).used = 100;
  accounts_.add(2, "b", 200);
  accounts_.add(3, "c", 200);
  Controller& controller = this->controller("smart-alloc:P=4,threshold=64");
  accounts_.put(1, 10, 5);
  accounts_.put(2, 10, 5);
  clock_.advance_ns(1000);
  controller.tick();
  clock_.advance_ns(500);
  const TargetHistory history = controller.recall(ClientId(1)).history;
  ASSERT_TRUE(history.last_loss.has_value());
  EXPECT_EQ(history.known_ns, 500u);
  EXPECT_EQ(history.last_loss->change.age_ns, 500u);
  EXPECT_EQ(history.last_loss->change.target_before, 600u);
  EXPECT_EQ(history.last_loss->change.target_after, accounts_.clients[0].target);
  EXPECT_LT(history.last_loss->change.target_after, 600u);
  EXPECT_FALSE(history.last_loss->change.reason.empty());
  ASSERT_EQ(history.last_loss->rises.size(), 2u);
  EXPECT_EQ(history.last_loss->rises[0].name, "b");
  EXPECT_EQ(history.last_loss->rises[0].pages, accounts_.clients[1].target - 200);
  EXPECT_EQ(history.last_loss->rises[1].name, "c");
  EXPECT_EQ(history.last_loss->others, 0u);
  EXPECT_FALSE(controller.recall(ClientId(2)).history.last_loss.has_value());
}

TEST_F(ControllerTest, Recall_lastLoss_outlivesThoseWhoGained) {
  accounts_.add(1, "a", 1000);
  Controller& controller = this->controller("static-alloc", 1);
  controller.tick();
  accounts_.add(2, "b", 0);
  controller.tick();
  accounts_.clients.pop_back();
  controller.tick();
  EXPECT_EQ(accounts_.clients[0].target, 1000u);
  const TargetHistory history = controller.recall(ClientId(1)).history;
  ASSERT_TRUE(history.last_loss.has_value());
  EXPECT_EQ(history.last_loss->change.target_after, 500u);
  EXPECT_EQ(history.last_loss->rises.at(0).name, "b");
  EXPECT_EQ(history.last_loss->rises.at(0).pages, 500u);
  EXPECT_EQ(history.changes.at(0).target_after, 1000u);
}

TEST_F(ControllerTest, Recall_lastLossToMany_namesAFewAndCountsTheOthers) {
  accounts_.total = 1200;
  accounts_.add(1, "a", 1200);
  Controller& controller = this->controller("static-alloc");
  controller.tick();
  for (std::uint32_t id = 2; id <= 12; ++id) {
    accounts_.add(id, "vm" + std::to_string(id), 0);
  }
  controller.tick();
  const auto loss = controller.recall(ClientId(1)).history.last_loss;
  ASSERT_TRUE(loss.has_value());
  EXPECT_EQ(loss->rises.size(), 8u);
  EXPECT_EQ(loss->others, 3u);
  EXPECT_EQ(loss->others_pages, 300u);
}

TEST_F(ControllerTest, Recall_readsKnown_tellsWhatATenthMoreSaves) {
  accounts_.add(1, "a", 100);
  Controller& controller = this->controller("static-alloc");
  controller.tick();
  EXPECT_EQ(controller.recall(ClientId(1)).history.reads_saved_by_tenth, std::nullopt);
  accounts_.put(0, 1, 1);
  controller.tick({{ClientId(1), {.backing_reads = 3800, .backing_pages = 1800}}});
  // 1900 pages, each read twice; the target is 1000.
  EXPECT_THAT(controller.recall(ClientId(1)).history.reads_saved_by_tenth,
              testing::Optional(testing::DoubleNear(200, 1e-9)));
}

TEST_F(ControllerTest, Recall_unknownVm_isEmpty) {
  EXPECT_THAT(controller("greedy").recall(ClientId(9)).history.changes, IsEmpty());
}

TEST_F(ControllerTest, InitialTarget_isThePolicys) {
  EXPECT_EQ(controller("greedy").initial_target(4), 1000u);
  EXPECT_EQ(controller("smart-alloc").initial_target(4), 250u);
  EXPECT_EQ(controller("reconf-static").initial_target(4), 0u);
}

TEST(IntervalThread, Start_ticksUntilDestroyed) {
  std::mutex mutex;
  std::condition_variable ticked;
  int ticks = 0;
  auto thread = IntervalThread::start(1'000'000, [&] {
    const std::lock_guard lock(mutex);
    ++ticks;
    ticked.notify_one();
  });
  ASSERT_TRUE(thread.ok());
  std::unique_lock lock(mutex);
  ticked.wait(lock, [&] { return ticks >= 3; });
}

}  // namespace
}  // namespace fallow::node
