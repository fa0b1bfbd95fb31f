#include "sim/replay.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "device/transfer.h"
#include "pager/pace.h"
#include "sim/outcome_text.h"

namespace fallow::sim {
namespace {

using recording::Kind;
using recording::MarkKind;
using testing::HasSubstr;

constexpr std::uint64_t kMs = 1'000'000;
constexpr double kLatencyS = 0.010;
// What the transfer of some pages takes is nothing beside that.
constexpr double kNear = 0.0005;

// Made of lines such as put(client, page, at).
class Stream {
 public:
  explicit Stream(std::uint64_t frames) {
    recording_.node = {.frames = frames, .interval_ns = 1000 * kMs};
    recording_.whole = true;
  }
  Stream& add(Kind kind, std::uint32_t client, std::uint32_t page, double at_ms) {
    recording_.operations.push_back(
        {.at_ns = static_cast<std::uint64_t>(at_ms * static_cast<double>(kMs)),
         .index = page,
         .pool = client,
         .client = client,
         .kind = kind});
    return *this;
  }
  Stream& put(std::uint32_t client, std::uint32_t page, double at_ms) {
    return add(Kind::kPut, client, page, at_ms);
  }
  Stream& get(std::uint32_t client, std::uint32_t page, double at_ms) {
    return add(Kind::kGet, client, page, at_ms);
  }
  Stream& flush(std::uint32_t client, std::uint32_t page, double at_ms) {
    return add(Kind::kFlush, client, page, at_ms);
  }
  Stream& note(std::uint32_t client, std::uint64_t ram_pages, bool is_disk = false) {
    recording_.notes.push_back({.client = client,
                                .name = "c" + std::to_string(client),
                                .is_disk = is_disk,
                                .ram_limit_pages = ram_pages});
    return *this;
  }
  Stream& mark(MarkKind kind, std::uint32_t client, double at_ms,
               const std::vector<std::uint32_t>& after = {}, double delay_ms = 0) {
    recording_.marks.push_back(
        {.at_ns = static_cast<std::uint64_t>(at_ms * static_cast<double>(kMs)),
         .id = static_cast<std::uint32_t>(recording_.marks.size() + 1),
         .kind = kind,
         .client = "c" + std::to_string(client),
         .after = after,
         .delay_ns = static_cast<std::uint64_t>(delay_ms * static_cast<double>(kMs))});
    return *this;
  }
  [[nodiscard]] Script script() const {
    recording::Recording recording = recording_;
    std::stable_sort(recording.operations.begin(), recording.operations.end(),
                     [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; });
    auto script = make_script(recording);
    EXPECT_TRUE(script.ok()) << script.error().text;
    return *std::move(script);
  }

 private:
  recording::Recording recording_;
};

ReplaySettings slow_disk() {
  ReplaySettings settings;
  settings.client.backing = DiskSpeed::parse("latency=10ms,bandwidth=8G").value();
  return settings;
}

Outcome outcome_of(const Stream& stream, const std::string& policy,
                   const ReplaySettings& settings = slow_disk()) {
  auto outcome = replay(stream.script(), settings, policy);
  EXPECT_TRUE(outcome.ok()) << outcome.error().text;
  return *std::move(outcome);
}

// Four frames: the first client has three of them, and the second one.
Stream two_clients() {
  Stream stream(4);
  for (std::uint32_t page = 0; page < 3; ++page) {
    stream.put(1, page, 1.0 + page).put(2, page, 11.0 + page);
    stream.get(1, page, 101.0 + page).get(2, page, 111.0 + page);
  }
  return stream;
}

TEST(Replay, underGreedyWhoComesFirstHasTheFrames) {
  const Outcome outcome = outcome_of(two_clients(), "greedy");
  const ClientOutcome& first = outcome.clients[0];
  const ClientOutcome& second = outcome.clients[1];
  EXPECT_EQ(first.figures.memory_hits, 3u);
  EXPECT_EQ(first.figures.refaults, 0u);
  EXPECT_EQ(first.frames_peak, 3u);
  EXPECT_DOUBLE_EQ(first.running_s, 0.102);
  EXPECT_EQ(second.figures.memory_hits, 1u);
  EXPECT_EQ(second.figures.refused_puts, 2u);
  EXPECT_EQ(second.figures.refaults, 2u);
  EXPECT_EQ(second.puts, 3u);
  EXPECT_NEAR(second.running_s, 0.102 + 2 * kLatencyS, kNear);
  EXPECT_EQ(outcome.refaults, 2u);
  EXPECT_DOUBLE_EQ(outcome.total_s, first.running_s + second.running_s);
}

TEST(Replay, withoutTmemEveryPageIsReadBack) {
  const Outcome outcome = outcome_of(two_clients(), "no-tmem");
  EXPECT_EQ(outcome.refaults, 6u);
  EXPECT_NEAR(outcome.total_s, 2 * 0.102 + 6 * kLatencyS, kNear);
}

TEST(Replay, moreMemoryThanWasRecordedHelps) {
  ReplaySettings settings = slow_disk();
  settings.frames = 6;
  EXPECT_EQ(outcome_of(two_clients(), "greedy", settings).refaults, 0u);
}

TEST(Replay, pagesThatLeftTogetherComeBackInOneRequest) {
  Stream stream(1);
  stream.put(1, 9, 0);
  for (std::uint32_t page = 0; page < 8; ++page) {
    stream.put(1, page, 1.0 + page / 1000.0).get(1, page, 50.0 + page / 1000.0);
  }
  const Outcome outcome = outcome_of(stream, "greedy");
  EXPECT_EQ(outcome.refaults, 8u);
  EXPECT_EQ(outcome.clients[0].figures.backing_requests, 2u);  // one out, one back
  EXPECT_NEAR(outcome.total_s, 0.050 + kLatencyS, kNear);
}

// As the pager reads over what is between them, where that is little.
TEST(Replay, pagesNearEachOtherComeBackInOneRequest) {
  Stream stream(1);
  stream.put(1, 999, 0);
  for (std::uint32_t page = 0; page < 200; ++page) {
    stream.put(1, page, 1.0 + page / 1000.0);
  }
  const auto requests_for = [&](std::uint32_t last) {
    Stream with_gets = stream;
    for (const std::uint32_t page : {0u, 7u, last}) {
      with_gets.get(1, page, 50.0);
    }
    return outcome_of(with_gets, "greedy").clients[0].figures.backing_requests;
  };
  const std::uint32_t bridged = pager::bridge_most(slow_disk().client.backing);
  EXPECT_EQ(requests_for(7 + 1 + bridged), 2u);  // one out, one back
  EXPECT_EQ(requests_for(7 + 2 + bridged), 3u);
}

TEST(Replay, pagesOfADiskHaveTheirOwnPlaces) {
  Stream stream(1);
  stream.note(1, 0, true).put(1, 1000, 0);
  for (std::uint32_t page = 0; page < 4; ++page) {
    stream.put(1, 2 * page, 1.0 + page / 1000.0).get(1, 2 * page, 100.0 + page / 1000.0);
  }
  const Outcome outcome = outcome_of(stream, "greedy");
  EXPECT_EQ(outcome.clients[0].figures.backing_requests, 8u);
}

// A write takes four times as long as it is to the next put.
TEST(Replay, writesAreWaitedForWhenTheDiskHasNoTransferLeft) {
  ReplaySettings settings;
  settings.client.backing = DiskSpeed::parse("latency=1ms,bandwidth=1M").value();
  constexpr double kWriteS = 1.0 / 256;
  const auto running_s = [&](bool is_disk, std::uint32_t pages) {
    Stream stream(1);
    stream.note(1, 0, is_disk);
    for (std::uint32_t page = 0; page < pages; ++page) {
      stream.put(1, page, page);
    }
    return outcome_of(stream, "no-tmem", settings).total_s;
  };
  const std::uint32_t most = TransferPool::kTransfers * Transfer::kPagesMax;
  EXPECT_NEAR(running_s(true, most), (most - 1) / 1000.0, kNear);
  EXPECT_NEAR(running_s(true, 2 * most), most * kWriteS, 3 * kWriteS);
  // A pager has less room.
  const auto room = static_cast<std::uint32_t>(2 * pager::low_mark(0));
  EXPECT_NEAR(running_s(false, 2 * room), room * kWriteS, 3 * kWriteS);
}

TEST(Replay, aFlushMakesRoom) {
  Stream stream(1);
  stream.put(1, 0, 0).flush(1, 0, 1).put(1, 1, 2).get(1, 1, 50).put(1, 2, 60).get(1, 2, 90);
  const Outcome outcome = outcome_of(stream, "greedy");
  EXPECT_EQ(outcome.clients[0].figures.memory_hits, 1u);
  EXPECT_EQ(outcome.refaults, 1u);
  stream.add(Kind::kClientGone, 1, 0, 100).put(2, 0, 200).get(2, 0, 300);
  EXPECT_EQ(outcome_of(stream, "greedy").clients[1].figures.memory_hits, 1u);
}

// One has all eight frames when the other comes: four are to be given up.
Stream one_comes_later() {
  Stream stream(8);
  for (std::uint32_t page = 0; page < 8; ++page) {
    stream.put(1, page, page);
  }
  stream.put(2, 0, 1500).put(1, 100, 1600);
  stream.put(2, 1, 2600).put(1, 101, 2700);
  return stream.get(2, 1, 5000);
}

TEST(Replay, pagesOverTheTargetGoToTheFileAtTheRate) {
  ReplaySettings settings = slow_disk();
  settings.client.demotion_pages_per_second = 1000;
  const Outcome outcome = outcome_of(one_comes_later(), "static-alloc", settings);
  EXPECT_EQ(outcome.clients[0].figures.demotions, 4u);
  EXPECT_EQ(outcome.clients[1].figures.demotions, 0u);
  settings.client.demotion_pages_per_second = 0;
  EXPECT_EQ(outcome_of(one_comes_later(), "static-alloc", settings).clients[0].figures.demotions,
            0u);
}

// Read back and not written, it leaves RAM again: to memory, which has room by then.
TEST(Replay, aPageThatLeavesAgainGoesToMemory) {
  Stream stream(40);
  stream.note(1, 64);
  for (std::uint32_t page = 0; page < 41; ++page) {
    stream.put(1, page, page);
  }
  for (std::uint32_t page = 0; page < 40; ++page) {
    stream.flush(1, page, 100.0 + page);
  }
  stream.get(1, 40, 1000);
  stream.get(1, 40, 2000);
  const Outcome outcome = outcome_of(stream, "greedy");
  EXPECT_EQ(outcome.refaults, 1u);
  EXPECT_EQ(outcome.clients[0].figures.promotions, 1u);
  EXPECT_EQ(outcome.clients[0].figures.memory_hits, 1u);
}

TEST(Replay, whatWaitedForAnotherWaitsForIt) {
  Stream stream(1);
  stream.note(1, 0).note(2, 0).put(1, 9, 0);
  stream.mark(MarkKind::kBegin, 1, 1).put(1, 0, 2).get(1, 0, 50);
  stream.mark(MarkKind::kPoint, 1, 60);
  stream.mark(MarkKind::kBegin, 2, 65, {2}, 5).mark(MarkKind::kEnd, 2, 85);
  stream.mark(MarkKind::kEnd, 1, 90, {});
  const Outcome outcome = outcome_of(stream, "greedy");
  EXPECT_NEAR(outcome.clients[0].running_s, 0.089 + kLatencyS, kNear);
  EXPECT_NEAR(outcome.clients[1].running_s, 0.020, kNear);
}

// Its operations are over long before it is stopped: it does the later ones again and again.
TEST(Replay, whoIsStoppedGoesOnUntilThen) {
  Stream stream(1);
  stream.note(1, 0).note(2, 0).put(2, 9, 0);
  stream.mark(MarkKind::kBegin, 1, 0).mark(MarkKind::kBegin, 2, 0);
  for (std::uint32_t i = 0; i < 10; ++i) {
    stream.put(1, i, 10.0 + i).get(1, i, 20.0 + 8 * i);
  }
  for (std::uint32_t i = 0; i < 20; ++i) {
    stream.put(2, i, 1.0 + i / 10.0).get(2, i, 5.0 + 4 * i);
  }
  stream.mark(MarkKind::kEnd, 2, 95).mark(MarkKind::kStop, 1, 96, {3});
  const Outcome outcome = outcome_of(stream, "no-tmem");
  const double ended_s = 0.095 + 20 * kLatencyS;
  EXPECT_NEAR(outcome.clients[1].running_s, ended_s, 2 * kNear);
  EXPECT_NEAR(outcome.clients[0].running_s, ended_s, 2 * kNear);
  EXPECT_GT(outcome.clients[0].figures.refaults, 10u);
}

TEST(Replay, endsThoughAMarkNeverComes) {
  Stream stream(1);
  stream.note(1, 0).note(2, 0).put(1, 0, 0).put(2, 0, 1);
  stream.mark(MarkKind::kBegin, 1, 2).mark(MarkKind::kBegin, 2, 3);
  stream.mark(MarkKind::kPoint, 2, 4).mark(MarkKind::kPoint, 1, 5, {3});
  stream.mark(MarkKind::kStop, 2, 6, {4});
  EXPECT_GT(outcome_of(stream, "greedy").total_s, 0);
  // The second is stopped before it gets to what the first waits for.
  Stream never(1);
  never.note(1, 0).note(2, 0).put(1, 0, 0).put(2, 0, 1);
  never.mark(MarkKind::kBegin, 1, 2).mark(MarkKind::kBegin, 2, 3);
  never.mark(MarkKind::kStop, 2, 4, {1}).mark(MarkKind::kPoint, 2, 5);
  never.mark(MarkKind::kEnd, 1, 6, {4});
  EXPECT_EQ(outcome_of(never, "greedy").clients.size(), 2u);
}

TEST(Replay, saysTheSameEachTime) {
  std::mt19937 random(1);
  Stream stream(300);
  for (std::uint32_t client = 1; client <= 3; ++client) {
    stream.note(client, 256);
  }
  for (int i = 0; i < 20'000; ++i) {
    const auto client = static_cast<std::uint32_t>(random() % 3 + 1);
    const auto page = static_cast<std::uint32_t>(random() % 400);
    const Kind kind = random() % 10 == 0  ? Kind::kFlush
                      : random() % 2 == 0 ? Kind::kPut
                                          : Kind::kGet;
    stream.add(kind, client, page, i / 10.0);
  }
  const Script script = stream.script();
  const std::vector<std::string> policies = {"greedy", "marginal", "smart-alloc:P=2"};
  ReplaySettings settings = slow_disk();
  settings.interval_ns = 50 * kMs;
  settings.client.demotion_pages_per_second = 500;
  const auto all = replay_all(script, settings, policies);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(to_json(script, *all), to_json(script, *replay_all(script, settings, policies)));
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const auto one = replay(script, settings, policies[i]);
    EXPECT_EQ(to_json(script, {*one}), to_json(script, {(*all)[i]}));
  }
}

TEST(Replay, theBestPolicyIsListedFirst) {
  const auto all = replay_all(two_clients().script(), slow_disk(), {"no-tmem", "greedy"});
  ASSERT_TRUE(all.ok());
  const std::string table = to_table(*all);
  EXPECT_LT(table.find("greedy"), table.find("no-tmem"));
  EXPECT_THAT(table, HasSubstr("client-1"));
  EXPECT_FALSE(replay(two_clients().script(), slow_disk(), "nonsense").ok());
}

}  // namespace
}  // namespace fallow::sim
