#include "frontend/ring/ring_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "frontend/ring/test_fixtures.h"

namespace fallow::ring {
namespace {

TEST_F(RingServerTest, socket_isTheOwnersAlone) {
  struct stat info {};
  ASSERT_EQ(::stat(node_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(RingServerTest, welcome_saysWhatTheClientMayHave) {
  TestClient client = connect();
  const auto welcome = client.hello(Attach::kPages, "one");
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->version, kVersionLast);
  EXPECT_EQ(welcome->queues_max, kQueuesMax);
  EXPECT_EQ(welcome->regions_max, kRegionsMax);
  EXPECT_EQ(welcome->region_bytes_max, kRegionBytesMax);
  EXPECT_EQ(welcome->epoch, 3u);
  EXPECT_EQ(welcome->secret, (Secret{{7, 8}}));
  EXPECT_EQ(welcome->resumed, 0u);
  EXPECT_EQ(node_.server->statistics().connected, 1u);
}

TEST_F(PagesTest, keptAndLost_comeBackWithTheSecret) {
  fill(0, 1);
  ASSERT_EQ(queue_.run(entry(Opcode::kPut, 3, 0)).result, 0);
  ASSERT_TRUE(client_.keep(60));
  client_.close();
  ASSERT_TRUE(eventually([&] { return node_.host.waiting() == 1; }));

  TestClient stranger = connect();
  stranger.send(TestClient::make_hello(Attach::kPages, "one"));
  EXPECT_TRUE(stranger.receive_as<Refused>().has_value());

  client_ = connect();
  Hello hello = TestClient::make_hello(Attach::kPages, "one");
  hello.secret = {{7, 8}};
  client_.send(hello);
  const auto welcome = client_.receive_as<Welcome>();
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->resumed, 1u);
  queue_ = *client_.open_queue(16);
  region_ = *client_.add_region(16 * kPageSize);
  pool_ = open_pool(queue_, 0, 1);
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 3, 1)).result, 0);
  EXPECT_TRUE(is(1, 1));
  // It asked before; that still holds.
  client_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.waiting() == 1; }));
}

TEST_F(PagesTest, keptAndKilledWhileAnAnswerIsDue_wait) {
  ASSERT_TRUE(client_.keep(60));
  for (int i = 0; i < 8; ++i) {
    client_.send(make_message<OpenQueue>());
  }
  client_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.waiting() == 1; }));
  EXPECT_EQ(node_.server->statistics().cut_off, 0u);
}

TEST_F(PagesTest, goodbye_dropsWhatWasKept) {
  ASSERT_TRUE(client_.keep(60));
  client_.send(make_message<Goodbye>());
  EXPECT_TRUE(client_.closed());
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 0; }));
  EXPECT_EQ(node_.host.waiting(), 0u);
}

TEST_F(PagesTest, goodbyeAndClosedAtOnce_isHeard) {
  ASSERT_TRUE(client_.keep(60));
  queue_.submit(entry(Opcode::kNop, 0));
  client_.send(make_message<Goodbye>());
  client_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 0; }));
}

TEST_F(PagesTest, keptNoMore_isReleased) {
  ASSERT_TRUE(client_.keep(60));
  ASSERT_TRUE(client_.keep(0));
  client_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 0; }));
}

TEST_F(RingServerTest, clientThatLeaves_isReleased) {
  {
    TestClient client = welcomed("one");
    EXPECT_EQ(node_.host.clients(), 1u);
  }
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 0; }));
  welcomed("one");
}

TEST_F(RingServerTest, nameThatIsTaken_isRefused) {
  const TestClient first = welcomed("one");
  TestClient second = connect();
  second.send(TestClient::make_hello(Attach::kPages, "one"));
  const auto refused = second.receive_as<Refused>();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error, EBUSY);
  EXPECT_TRUE(second.closed());
}

TEST_F(RingServerTest, wrongHellos_areRefusedWithAReason) {
  const auto answer = [&](const auto& change) {
    TestClient client = connect();
    Hello hello = TestClient::make_hello(Attach::kPages, "one");
    change(hello);
    client.send(hello);
    const auto refused = client.receive_as<Refused>();
    EXPECT_TRUE(refused.has_value());
    EXPECT_TRUE(client.closed());
    return refused ? refused->error : 0;
  };
  EXPECT_EQ(answer([](Hello& hello) { hello.version_first = hello.version_last = 77; }),
            EPROTONOSUPPORT);
  EXPECT_EQ(answer([](Hello& hello) { hello.attach = static_cast<Attach>(9); }), EINVAL);
  EXPECT_EQ(answer([](Hello& hello) { std::memset(hello.name, 'x', sizeof hello.name); }), EINVAL);
  EXPECT_EQ(answer([](Hello& hello) { hello.name[0] = '\n'; }), EINVAL);
  EXPECT_EQ(answer([](Hello& hello) { hello.header.magic = 1; }), EPROTO);
  EXPECT_EQ(answer([](Hello& hello) { hello.header.type = ControlType::kOpenQueue; }), EPROTO);
  EXPECT_EQ(answer([](Hello& hello) { hello.attach = Attach::kDisk; }), ENOENT);
  EXPECT_EQ(node_.server->statistics().refused, 7u);
}

TEST_F(RingServerTest, firstMessageThatIsNoHello_isRefused) {
  TestClient client = connect();
  client.send(make_message<OpenQueue>());
  ASSERT_TRUE(client.receive_as<Refused>().has_value());
  EXPECT_TRUE(client.closed());
}

TEST(RingServer, silentClient_isDroppedAfterAWhile) {
  ManualClock clock;
  TestNode node({}, &clock);
  auto client = TestClient::connect(node.path());
  ASSERT_TRUE(client.ok());
  // Until it has been accepted, its time does not run.
  EXPECT_TRUE(eventually([&] {
    clock.advance_ns(3'000'000'000);
    return node.server->statistics().refused == 1;
  }));
  const auto refused = client->receive_as<Refused>();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error, ETIMEDOUT);
  EXPECT_TRUE(client->closed());
}

TEST_F(RingServerTest, manySilentClients_giveWayToOnesThatSpeak) {
  std::vector<TestClient> silent;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(connect());
  }
  welcomed("one");
}

TEST(RingServer, moreConnectionsThanAllowed_areRefused) {
  Limits limits;
  limits.connections = 2;
  TestNode node(limits);
  std::vector<TestClient> clients;
  for (const char* name : {"a", "b"}) {
    clients.push_back(std::move(*TestClient::connect(node.path())));
    ASSERT_TRUE(clients.back().hello(Attach::kPages, name).has_value());
  }
  auto third = TestClient::connect(node.path());
  third->send(TestClient::make_hello(Attach::kPages, "c"));
  const auto refused = third->receive_as<Refused>();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error, EUSERS);
  clients.clear();
  EXPECT_TRUE(eventually([&] {
    auto next = TestClient::connect(node.path());
    return next->hello(Attach::kPages, "d").has_value();
  }));
}

TEST(RingServer, queuesBeyondTheQuota_areRefused) {
  Limits limits;
  limits.queues = 3;
  limits.queue_entries = 100;
  TestNode node(limits);
  auto client = TestClient::connect(node.path());
  ASSERT_TRUE(client->hello(Attach::kPages, "one").has_value());
  auto queue = client->open_queue(64);
  EXPECT_TRUE(queue.has_value());
  EXPECT_FALSE(client->open_queue(64).has_value());
  EXPECT_TRUE(client->open_queue(16).has_value());
  EXPECT_TRUE(client->open_queue(16).has_value());
  EXPECT_FALSE(client->open_queue(2).has_value());
  auto close = make_message<CloseQueue>();
  close.queue = queue->number();
  client->send(close);
  EXPECT_TRUE(client->receive_as<Done>().has_value());
  EXPECT_TRUE(client->open_queue(32).has_value());
}

TEST(RingServer, end_closesConnectionsAndRemovesTheSocket) {
  TestNode node;
  auto client = TestClient::connect(node.path());
  ASSERT_TRUE(client->hello(Attach::kPages, "one").has_value());
  node.server.reset();
  EXPECT_TRUE(client->closed());
  EXPECT_FALSE(TestClient::connect(node.path()).ok());
  EXPECT_EQ(node.host.clients(), 1u);  // the node's to drop or to keep
}

TEST_F(PagesTest, putAndGet_bringThePageBack) {
  fill(0, 1);
  EXPECT_EQ(queue_.run(entry(Opcode::kPut, 9, 0)).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 9, 1)).result, 0);
  EXPECT_TRUE(is(1, 1));
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 10, 1)).result, -ENOENT);
  EXPECT_EQ(queue_.run(entry(Opcode::kFlushPage, 9)).result, 1);
  EXPECT_EQ(queue_.run(entry(Opcode::kFlushPage, 9)).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 9, 1)).result, -ENOENT);
}

TEST_F(PagesTest, unalignedAddress_isAsGood) {
  fill(0, 4);
  Submission put = entry(Opcode::kPut, 1);
  std::memmove(page(2) + 7, page(0), kPageSize);
  put.address = 2 * kPageSize + 7;
  EXPECT_EQ(queue_.run(put).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 1, 5)).result, 0);
  EXPECT_TRUE(is(5, 4));
}

TEST_F(PagesTest, entriesOfAQueue_areCarriedOutInOrder) {
  for (unsigned round = 0; round < 100; ++round) {
    fill(0, 2 * round);
    fill(1, 2 * round + 1);
    queue_.submit(entry(Opcode::kPut, 3, 0));
    queue_.submit(entry(Opcode::kPut, 3, 1));
    queue_.submit(entry(Opcode::kGet, 3, 2));
    queue_.submit(entry(Opcode::kFlushPage, 3));
    queue_.submit(entry(Opcode::kGet, 3, 3));
    for (const int expected : {0, 0, 0, 1, -ENOENT}) {
      const auto done = queue_.wait();
      ASSERT_TRUE(done.has_value());
      EXPECT_EQ(done->result, expected);
    }
    EXPECT_TRUE(is(2, 2 * round + 1));
  }
}

TEST_F(PagesTest, clientAtItsTarget_isRefused) {
  std::uint32_t stored = 0;
  while (stored <= TestNode::kFrames) {
    fill(0, stored);
    const auto result = queue_.run(entry(Opcode::kPut, stored)).result;
    if (result != 0) {
      EXPECT_EQ(result, -EDQUOT);
      break;
    }
    ++stored;
  }
  EXPECT_EQ(stored, TestNode::kFrames / 2);
}

TEST_F(PagesTest, flushObject_freesItsPagesAndNoOthers) {
  for (std::uint32_t i = 0; i < 100; ++i) {
    fill(0, i);
    Submission put = entry(Opcode::kPut, i);
    put.object = i % 4;
    ASSERT_EQ(queue_.run(put).result, 0);
  }
  Submission flush = entry(Opcode::kFlushObject, 0);
  flush.object = 2;
  queue_.submit(flush);
  Submission after = entry(Opcode::kGet, 6, 1);  // waits for its turn behind the walk
  after.object = 2;
  queue_.submit(after);
  const auto done = queue_.wait();
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->result, 0);
  EXPECT_EQ(done->value, 25u);
  EXPECT_EQ(queue_.wait()->result, -ENOENT);
  Submission get = entry(Opcode::kGet, 7, 1);
  get.object = 3;
  EXPECT_EQ(queue_.run(get).result, 0);
}

TEST_F(PagesTest, poolsAreFoundByLabelAndDestroyed) {
  EXPECT_EQ(open_pool(queue_, 0, 1), pool_);
  const std::uint32_t other = open_pool(queue_, 1, 2);
  EXPECT_NE(other, pool_);
  Submission wrong_kind{};
  wrong_kind.opcode = Opcode::kOpenPool;
  wrong_kind.index = 0;
  wrong_kind.object = 2;
  EXPECT_EQ(queue_.run(wrong_kind).result, -EINVAL);
  wrong_kind.index = 2;
  EXPECT_EQ(queue_.run(wrong_kind).result, -EINVAL);

  fill(0, 1);
  EXPECT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kDestroyPool, 0)).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kDestroyPool, 0)).result, -ESTALE);
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 1)).result, -ESTALE);
  EXPECT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, -ESTALE);
  EXPECT_EQ(node_.store->free_frames(), TestNode::kFrames);
  EXPECT_NE(open_pool(queue_, 0, 1), pool_);
}

// What the store remembers under a label must not be handed out while it is being destroyed.
TEST_F(PagesTest, poolThatIsGoing_isNotOpenedAnew) {
  TestQueue other = *client_.open_queue(4);
  Submission open{};
  open.opcode = Opcode::kOpenPool;
  open.object = 1;
  for (int round = 0; round < 50; ++round) {
    queue_.submit(entry(Opcode::kDestroyPool, 0));
    const Completion opened = other.run(open);
    ASSERT_EQ(opened.result, 0);
    ASSERT_EQ(queue_.wait()->result, 0);
    if (opened.value == pool_) {  // it had come first
      pool_ = open_pool(queue_, 0, 1);
      continue;
    }
    pool_ = opened.value;
    fill(0, 1);
    ASSERT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, 0);
    ASSERT_EQ(other.run(entry(Opcode::kGet, 1, 1)).result, 0);
  }
}

TEST_F(PagesTest, destructionThatIsDropped_leavesThePoolOpen) {
  TestQueue other = *client_.open_queue(4);
  for (int round = 0; round < 20; ++round) {
    other.submit(entry(Opcode::kDestroyPool, 0));
    auto close = make_message<CloseQueue>();
    close.queue = other.number();
    client_.send(close);
    ASSERT_TRUE(client_.receive_as<Done>().has_value());
    pool_ = open_pool(queue_, 0, 1);
    fill(0, 1);
    ASSERT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, 0);
    other = *client_.open_queue(4);
  }
}

TEST_F(PagesTest, poolOfAnotherClient_isNotThere) {
  fill(0, 1);
  ASSERT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, 0);
  TestClient thief = welcomed("thief");
  TestQueue queue = *thief.open_queue(4);
  const TestRegion region = *thief.add_region(kPageSize);
  open_pool(queue, 0, 1);
  for (const Opcode opcode : {Opcode::kGet, Opcode::kPut, Opcode::kFlushPage, Opcode::kFlushObject,
                              Opcode::kDestroyPool}) {
    Submission stolen = entry(opcode, 1);
    stolen.token = region.token;
    EXPECT_EQ(queue.run(stolen).result, -ESTALE);
  }
  EXPECT_EQ(queue_.run(entry(Opcode::kGet, 1, 1)).result, 0);
  EXPECT_TRUE(is(1, 1));
}

TEST_F(PagesTest, statistics_tellWhatTheClientHolds) {
  fill(0, 1);
  ASSERT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, 0);
  Submission ask = entry(Opcode::kStatistics, 0, 3);
  EXPECT_EQ(queue_.run(ask).result, -EINVAL);
  ask.length = sizeof(Statistics);
  EXPECT_EQ(queue_.run(ask).result, 0);
  Statistics statistics;
  std::memcpy(&statistics, page(3), sizeof statistics);
  EXPECT_EQ(statistics.used, 1u);
  EXPECT_EQ(statistics.target, TestNode::kFrames / 2);
  EXPECT_EQ(statistics.puts_succ, 1u);
  EXPECT_EQ(statistics.node_frames, TestNode::kFrames);
  EXPECT_EQ(statistics.node_frames_free, TestNode::kFrames - 1);
}

TEST_F(PagesTest, report_reachesTheHostWhole) {
  MemoryReport report{};
  report.ram_limit_pages = 65536;
  report.faults_total = 3;
  report.curve_points = 2;
  report.curve[0] = {1, 1'000'000, 0};
  report.curve[1] = {65536, 7, 0};
  std::memcpy(page(1) + 100, &report, sizeof report);
  Submission say = entry(Opcode::kReport, 0, 1);
  say.address += 100;
  EXPECT_EQ(queue_.run(say).result, -EINVAL);  // a whole page is no report
  EXPECT_FALSE(node_.host.report_of("one").has_value());
  say.length = sizeof report;
  EXPECT_EQ(queue_.run(say).result, 0);
  const auto kept = node_.host.report_of("one");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(std::memcmp(&*kept, &report, sizeof report), 0);
}

TEST_F(PagesTest, reportThatIsWrong_isRefusedAndTheLastOneStays) {
  Submission say = entry(Opcode::kReport, 0, 1);
  say.length = sizeof(MemoryReport);
  MemoryReport report{};
  report.faults_total = 1;
  std::memcpy(page(1), &report, sizeof report);
  ASSERT_EQ(queue_.run(say).result, 0);
  report.faults_total = 2;
  report.curve_points = 17;
  std::memcpy(page(1), &report, sizeof report);
  EXPECT_EQ(queue_.run(say).result, -EINVAL);
  say.token += 1;
  EXPECT_EQ(queue_.run(say).result, -EFAULT);
  EXPECT_EQ(node_.host.report_of("one")->faults_total, 1u);
}

TEST_F(PagesTest, wrongEntries_areAnsweredAsWrong) {
  const auto result = [&](const auto& change) {
    Submission put = entry(Opcode::kPut, 1);
    change(put);
    return queue_.run(put).result;
  };
  EXPECT_EQ(result([](Submission& put) { put.opcode = static_cast<Opcode>(200); }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.opcode = Opcode::kRead; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.opcode = static_cast<Opcode>(32); }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.flags = 1; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.reserved0 = 1; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.reserved1 = 1; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.reserved2[1] = 1; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.length = 4095; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.length = 0; }), -EINVAL);
  EXPECT_EQ(result([](Submission& put) { put.token ^= 1; }), -EFAULT);
  EXPECT_EQ(result([](Submission& put) { put.token += 64; }), -EFAULT);
  EXPECT_EQ(result([](Submission& put) { put.token = 0; }), -EFAULT);
  EXPECT_EQ(result([](Submission& put) { put.address = 15 * kPageSize + 1; }), -EFAULT);
  EXPECT_EQ(result([](Submission& put) { put.address = UINT64_MAX - 100; }), -EFAULT);
  EXPECT_EQ(result([](Submission& put) { put.pool += 1; }), -ESTALE);
  EXPECT_EQ(result([](Submission& put) { put.pool = 0; }), -ESTALE);
  EXPECT_EQ(result([](Submission& put) { put.opcode = Opcode::kNop; }), 0);
}

TEST_F(PagesTest, manyEntriesOnSeveralQueues_areAllAnswered) {
  std::vector<TestQueue> queues;
  for (int i = 0; i < 3; ++i) {
    queues.push_back(*client_.open_queue(8));
  }
  fill(0, 1);
  for (int round = 0; round < 500; ++round) {
    for (TestQueue& queue : queues) {
      for (std::uint32_t i = 0; i < 8; ++i) {
        queue.submit(entry(i % 2 == 0 ? Opcode::kPut : Opcode::kGet, i, i));
      }
    }
    for (TestQueue& queue : queues) {
      for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(queue.wait().has_value());
      }
    }
  }
  EXPECT_TRUE(eventually([&] { return node_.server->statistics().entries >= 12'000; }));
}

TEST_F(PagesTest, regionThatIsGone_isFoundNoMore) {
  auto message = make_message<Unregister>();
  message.token = region_.token;
  client_.send(message);
  EXPECT_TRUE(client_.receive_as<Done>().has_value());
  EXPECT_EQ(queue_.run(entry(Opcode::kPut, 1)).result, -EFAULT);
  client_.send(message);
  EXPECT_TRUE(client_.receive_as<Refused>().has_value());
  const auto again = client_.add_region(kPageSize);
  ASSERT_TRUE(again.has_value());
  EXPECT_NE(again->token, region_.token);
}

TEST_F(PagesTest, queueClosedInTheMiddle_isGone) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    queue_.submit(entry(Opcode::kFlushObject, i));
  }
  auto close = make_message<CloseQueue>();
  close.queue = queue_.number();
  client_.send(close);
  EXPECT_TRUE(client_.receive_as<Done>().has_value());
  client_.send(close);
  EXPECT_TRUE(client_.receive_as<Refused>().has_value());
  TestQueue again = *client_.open_queue(4);
  EXPECT_EQ(again.run(entry(Opcode::kPut, 1)).result, 0);
}

}  // namespace
}  // namespace fallow::ring
