#include "node/ring_clients.h"

#include <gmock/gmock.h>

#include <optional>

#include "base/log.h"
#include "base/temp_dir.h"
#include "memory/page_copy.h"

namespace fallow::node {
namespace {

using testing::HasSubstr;
using Leaving = RingHost::Leaving;

constexpr std::uint64_t kFrames = 64;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

class RingClientsTest : public testing::Test {
 protected:
  RingClientsTest() {
    set_log_level(LogLevel::kError);
    begin();
  }
  // A life of the daemon; what the one before has left is expected, as the node does it.
  void begin() {
    clients_.reset();
    store_.reset();
    arena_.reset();
    arena_.emplace(*memory::Arena::open({.directory = dir_.path(), .bytes = kFrames * kPageSize}));
    store_ = *tmem::Store::create(*arena_, clock_);
    clients_.emplace(*store_, clock_);
    for (const tmem::ClientStatistics& client : store_->statistics()) {
      clients_->expect(client.id, client.name);
    }
  }
  // With one page.
  RingHost::Admission come(const std::string& name, std::uint32_t keep_seconds) {
    const auto admission = clients_->admit(name, {});
    EXPECT_TRUE(admission.ok());
    store_->set_target(admission->client, kFrames);
    store_->set_keep_seconds(admission->client, keep_seconds);
    const auto pool = store_->open_pool(admission->client, tmem::PoolKind::kPersistent, 1);
    memory::fill_page(page_, 7);
    page_[9] = std::byte{1};
    EXPECT_EQ(store_->put({*pool, 0, 0}, page_), tmem::PutResult::kStored);
    return *admission;
  }
  void pass(std::uint64_t ns) {
    clock_.advance_ns(ns);
    clients_->give_up_the_lost();
  }
  [[nodiscard]] bool there() const { return store_->free_frames() < kFrames; }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<tmem::Store> store_;
  std::optional<RingClients> clients_;
  alignas(64) std::byte page_[kPageSize];
};

TEST_F(RingClientsTest, lostWithoutAsking_pagesGoAtOnce) {
  clients_->release(come("a", 0).client, Leaving::kLost);
  EXPECT_FALSE(there());
  EXPECT_TRUE(clients_->list().empty());
}

TEST_F(RingClientsTest, goneForGood_pagesGoAtOnce) {
  clients_->release(come("a", 100).client, Leaving::kForGood);
  EXPECT_FALSE(there());
  EXPECT_TRUE(clients_->list().empty());
}

TEST_F(RingClientsTest, lostHavingAsked_waitsItsTimeAndNoLonger) {
  const auto client = come("a", 100).client;
  clients_->release(client, Leaving::kLost);
  EXPECT_EQ(clients_->list(), (std::map<ClientId, bool>{{client, false}}));
  pass(99 * kSecondNs);
  EXPECT_TRUE(there());
  pass(kSecondNs);
  EXPECT_FALSE(there());
  EXPECT_TRUE(clients_->list().empty());
}

TEST_F(RingClientsTest, severalLost_eachHasItsTime) {
  const auto first = come("a", 100).client;
  const auto second = come("b", 20).client;
  clients_->release(first, Leaving::kLost);
  pass(50 * kSecondNs);
  clients_->release(second, Leaving::kLost);
  pass(19 * kSecondNs);
  EXPECT_EQ(clients_->list().size(), 2u);
  pass(kSecondNs);
  EXPECT_EQ(clients_->list(), (std::map<ClientId, bool>{{first, false}}));
  pass(30 * kSecondNs);
  EXPECT_TRUE(clients_->list().empty());
}

TEST_F(RingClientsTest, comesBackInTime_isResumedAndMayBeLostAgain) {
  const auto before = come("a", 100);
  for (int i = 0; i < 3; ++i) {
    clients_->release(before.client, Leaving::kLost);
    pass(99 * kSecondNs);
    const auto back = clients_->admit("a", before.secret);
    ASSERT_TRUE(back.ok());
    EXPECT_TRUE(back->resumed);
    EXPECT_EQ(back->client, before.client);
    EXPECT_EQ(back->secret, before.secret);
    EXPECT_EQ(clients_->list(), (std::map<ClientId, bool>{{before.client, true}}));
    pass(1000 * kSecondNs);
    EXPECT_TRUE(there());
  }
}

TEST_F(RingClientsTest, comesBackLate_beginsAnew) {
  const auto before = come("a", 100);
  clients_->release(before.client, Leaving::kLost);
  pass(100 * kSecondNs);
  const auto back = clients_->admit("a", before.secret);
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE(back->resumed);
  EXPECT_NE(back->secret, before.secret);
  clients_->release(back->client, Leaving::kLost);  // the new one has not asked for anything
  EXPECT_TRUE(clients_->list().empty());
}

TEST_F(RingClientsTest, anotherWithTheName_isRefusedAndToldHowLong) {
  const auto before = come("a", 100);
  clients_->release(before.client, Leaving::kLost);
  pass(40 * kSecondNs);
  for (const ring::Secret& secret : {ring::Secret{}, ring::Secret{{before.secret.words[0], 1}}}) {
    const auto other = clients_->admit("a", secret);
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, ErrorCode::kExists);
    EXPECT_THAT(other.error().text, HasSubstr("try in 61 s"));
  }
  EXPECT_TRUE(clients_->admit("a", before.secret)->resumed);
}

TEST_F(RingClientsTest, daemonDies_pagesWaitAMinuteOrWhatWasAsked) {
  const auto lost = come("lost", 100);
  come("silent", 0);
  come("short", 10);
  clients_->release(lost.client, Leaving::kLost);
  pass(90 * kSecondNs);
  begin();
  EXPECT_EQ(clients_->list().size(), 3u);
  pass(RingClients::kReturnNs - 1);
  EXPECT_EQ(clients_->list().size(), 3u);
  pass(1);
  EXPECT_EQ(clients_->list(), (std::map<ClientId, bool>{{lost.client, false}}));
  pass(39 * kSecondNs);
  const auto back = clients_->admit("lost", lost.secret);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->resumed);
  EXPECT_TRUE(there());
}

TEST_F(RingClientsTest, report_lastOneCountsWithItsAgeAndWhatRose) {
  const auto client = come("a", 100).client;
  EXPECT_FALSE(clients_->report_of(client).has_value());
  ring::MemoryReport said{};
  said.ram_limit_pages = 65536;
  said.faults_total = 100;
  said.evictions_total = 10;
  said.curve_points = 1;
  said.curve[0] = {5, 6, 0};
  clients_->keep_report(client, said);
  clock_.advance_ns(kSecondNs);
  MemoryReport shown = *clients_->report_of(client);
  EXPECT_EQ(shown.age_ns, kSecondNs);
  EXPECT_EQ(shown.ram_limit_pages, 65536u);
  EXPECT_EQ(shown.interval_ns, 0u);
  ASSERT_EQ(shown.curve.size(), 1u);
  EXPECT_EQ(shown.curve[0].misses_per_million, 6u);

  said.faults_total = 130;
  said.evictions_total = 4;  // another process, which has begun anew
  said.curve_points = 0;
  clients_->keep_report(client, said);
  shown = *clients_->report_of(client);
  EXPECT_EQ(shown.age_ns, 0u);
  EXPECT_EQ(shown.interval_ns, kSecondNs);
  EXPECT_EQ(shown.interval_faults, 30u);
  EXPECT_EQ(shown.interval_evictions, 4u);
  EXPECT_TRUE(shown.curve.empty());
}

TEST_F(RingClientsTest, report_goesWithTheClient) {
  const auto client = come("a", 100).client;
  clients_->keep_report(client, {});
  clients_->release(client, Leaving::kLost);
  EXPECT_TRUE(clients_->report_of(client).has_value());  // while its pages wait
  pass(100 * kSecondNs);
  EXPECT_FALSE(clients_->report_of(client).has_value());
  clients_->keep_report(client, {});  // that was on its way
  EXPECT_FALSE(clients_->report_of(client).has_value());
}

TEST_F(RingClientsTest, askedInALifeBefore_stillHolds) {
  const auto before = come("a", 100);
  begin();
  const auto back = clients_->admit("a", before.secret);
  ASSERT_TRUE(back.ok());
  clients_->release(back->client, Leaving::kLost);
  pass(99 * kSecondNs);
  EXPECT_TRUE(there());
}

}  // namespace
}  // namespace fallow::node
