// Clients that break the rules. Each must be told off or cut off, alone, and a good client must be
// served meanwhile and afterwards.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "frontend/ring/test_fixtures.h"

namespace fallow::ring {
namespace {

// The client of the fixture is the good one; `bad_` is the other.
class HostileClient : public PagesTest {
 protected:
  HostileClient()
      : bad_(welcomed("bad")),
        bad_queue_(*bad_.open_queue(8)),
        bad_region_(*bad_.add_region(4 * kPageSize)) {
    fill(0, 1);
    EXPECT_EQ(queue_.run(entry(Opcode::kPut, 1, 0)).result, 0);
  }
  void TearDown() override {
    EXPECT_EQ(queue_.run(entry(Opcode::kGet, 1, 1)).result, 0);
    EXPECT_TRUE(is(1, 1));
    EXPECT_TRUE(welcomed("next").open_queue(4).has_value());
  }
  void expect_cut_off() {
    EXPECT_TRUE(bad_.closed());
    EXPECT_TRUE(eventually([&] { return node_.server->statistics().connected == 1; }));
    EXPECT_EQ(node_.server->statistics().cut_off, 1u);
  }

  TestClient bad_;
  TestQueue bad_queue_;
  TestRegion bad_region_;
};

void store(std::uint32_t& word, std::uint32_t value) {
  std::atomic_ref(word).store(value);
}

TEST_F(HostileClient, submittedFarAhead_isCutOff) {
  store(bad_queue_.head().client.submitted, 1000);
  bad_queue_.ring();
  expect_cut_off();
}

TEST_F(HostileClient, consumedWhatWasNeverDone_isCutOff) {
  store(bad_queue_.head().client.consumed, 1);
  store(bad_queue_.head().client.submitted, 1);
  bad_queue_.ring();
  expect_cut_off();
}

TEST_F(HostileClient, daemonsOwnLineOverwritten_changesNothing) {
  DaemonLine& line = bad_queue_.head().daemon;
  store(line.taken, 77);
  store(line.completed, 88);
  store(line.waiting, 99);
  for (int i = 0; i < 20; ++i) {
    bad_queue_.submit({});
    bad_queue_.ring();
    EXPECT_TRUE(eventually([&] { return std::atomic_ref(line.taken).load() == i + 1u; }));
    store(bad_queue_.head().client.consumed, static_cast<std::uint32_t>(i + 1));
  }
}

TEST_F(HostileClient, completionsNeverDrained_holdUpNobody) {
  for (int i = 0; i < 8; ++i) {
    bad_queue_.submit({});
  }
  EXPECT_TRUE(
      eventually([&] { return std::atomic_ref(bad_queue_.head().daemon.completed).load() == 8; }));
  TestQueue other = *bad_.open_queue(2);
  EXPECT_EQ(other.run({}).result, 0);
  EXPECT_EQ(queue_.run(entry(Opcode::kNop, 0)).result, 0);
  bad_queue_.submit({});  // where would it be completed?
  expect_cut_off();
}

TEST_F(HostileClient, doorbellRungForNothing_isHeard) {
  for (int i = 0; i < 1000; ++i) {
    bad_queue_.ring();
  }
  EXPECT_EQ(bad_queue_.run({}).result, 0);
}

TEST_F(HostileClient, blockingAndFullDoorbell_holdsUpNobody) {
  ASSERT_EQ(::fcntl(bad_queue_.doorbell(), F_SETFL, 0), 0);
  const std::uint64_t most = UINT64_MAX - 1;
  ASSERT_EQ(::write(bad_queue_.doorbell(), &most, sizeof most), 8);
  EXPECT_EQ(queue_.run(entry(Opcode::kNop, 0)).result, 0);
  EXPECT_EQ(bad_queue_.run({}).result, 0);
}

TEST_F(HostileClient, regionCutOff_endsTheClient) {
  Submission open{};
  open.opcode = Opcode::kOpenPool;
  Submission put{};
  put.opcode = Opcode::kPut;
  put.pool = bad_queue_.run(open).value;
  put.token = bad_region_.token;
  put.address = 3 * kPageSize;
  put.length = kPageSize;
  ASSERT_EQ(::ftruncate(bad_region_.file.get(), kPageSize), 0);
  bad_queue_.submit(put);
  expect_cut_off();
  EXPECT_FALSE(bad_queue_.poll().has_value());
}

TEST_F(HostileClient, queueMemory_cannotBeCut) {
  EXPECT_NE(::ftruncate(bad_queue_.memory_fd(), 0), 0);
  ASSERT_EQ(::fallocate(bad_queue_.memory_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        static_cast<off_t>(bad_queue_.memory().size())),
            0);
  bad_queue_.ring();  // all indices are zero again
  EXPECT_EQ(queue_.run(entry(Opcode::kNop, 0)).result, 0);
}

TEST_F(HostileClient, garbageAsControlMessage_isCutOff) {
  const char garbage[100] = "garbage";
  bad_.send(garbage);
  expect_cut_off();
}

TEST_F(HostileClient, messageOfTheDaemon_isCutOff) {
  bad_.send(make_message<Welcome>());
  expect_cut_off();
}

TEST_F(HostileClient, secondHello_isCutOff) {
  bad_.send(TestClient::make_hello(Attach::kPages, "bad"));
  expect_cut_off();
}

TEST_F(HostileClient, overlongMessage_isCutOff) {
  const char garbage[4096] = {};
  bad_.send(garbage);
  expect_cut_off();
}

TEST_F(HostileClient, descriptorsThatNobodyAskedFor_areCutOff) {
  const int fds[] = {bad_region_.file.get()};
  bad_.send(make_message<OpenQueue>(), fds);
  expect_cut_off();
}

TEST_F(HostileClient, tooManyDescriptors_areCutOffAndClosed) {
  auto message = make_message<Register>();
  message.bytes = kPageSize;
  const std::vector<int> fds(100, bad_region_.file.get());
  bad_.send(message, fds);
  expect_cut_off();
}

TEST_F(HostileClient, registrationWithoutDescriptor_isCutOff) {
  bad_.send(make_message<Register>());
  expect_cut_off();
}

TEST_F(HostileClient, whatIsNoMemory_isRefused) {
  const auto refused = [&](int fd, std::uint64_t bytes) {
    auto message = make_message<Register>();
    message.bytes = bytes;
    const int fds[] = {fd};
    bad_.send(message, fds);
    return bad_.receive_as<Refused>().has_value();
  };
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(refused(file.get(), kPageSize));
  EXPECT_TRUE(refused(bad_.fd(), kPageSize));
  EXPECT_TRUE(refused(bad_queue_.doorbell(), kPageSize));
  EXPECT_TRUE(refused(bad_region_.file.get(), 5 * kPageSize));
  EXPECT_TRUE(refused(bad_region_.file.get(), 100));
  EXPECT_TRUE(refused(bad_region_.file.get(), 0));
  EXPECT_TRUE(refused(bad_region_.file.get(), UINT64_MAX - 4095));
  const UniqueFd sealed(::memfd_create("read-only", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(sealed.get(), kPageSize), 0);
  ASSERT_EQ(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_TRUE(refused(sealed.get(), kPageSize));
}

TEST_F(HostileClient, moreRegionsThanAllowed_areRefused) {
  std::vector<TestRegion> regions;
  for (std::uint32_t i = 1; i < kRegionsMax; ++i) {
    auto region = bad_.add_region(kPageSize);
    ASSERT_TRUE(region.has_value()) << i;
    regions.push_back(std::move(*region));
  }
  EXPECT_FALSE(bad_.add_region(kPageSize).has_value());
  auto message = make_message<Unregister>();
  message.token = regions[7].token;
  bad_.send(message);
  EXPECT_TRUE(bad_.receive_as<Done>().has_value());
  EXPECT_TRUE(bad_.add_region(kPageSize).has_value());
}

TEST_F(HostileClient, moreQueuesThanAllowed_areRefused) {
  std::vector<TestQueue> queues;
  for (std::uint32_t i = 1; i < kQueuesMax; ++i) {
    auto queue = bad_.open_queue(256);
    ASSERT_TRUE(queue.has_value() == (i < 64)) << i;
    queues.push_back(std::move(*queue));
  }
  EXPECT_FALSE(bad_.open_queue(2).has_value());
  EXPECT_EQ(queues.back().run({}).result, 0);
}

TEST_F(HostileClient, wrongQueuesAndTokens_areRefused) {
  for (const std::uint32_t entries : {0u, 1u, 3u, 2048u, UINT32_MAX}) {
    auto open = make_message<OpenQueue>();
    open.entries = entries;
    bad_.send(open);
    EXPECT_TRUE(bad_.receive_as<Refused>().has_value()) << entries;
  }
  for (const std::uint32_t number : {1u, 63u, 64u, UINT32_MAX}) {
    auto close = make_message<CloseQueue>();
    close.queue = number;
    bad_.send(close);
    EXPECT_TRUE(bad_.receive_as<Refused>().has_value()) << number;
  }
  for (const std::uint32_t token : {0u, bad_region_.token + 1, bad_region_.token + 64}) {
    auto message = make_message<Unregister>();
    message.token = token;
    bad_.send(message);
    EXPECT_TRUE(bad_.receive_as<Refused>().has_value()) << token;
  }
}

TEST_F(HostileClient, keptForEver_isRefused) {
  for (const std::uint32_t seconds : {kKeepSecondsMax + 1, 0x80000000u, UINT32_MAX}) {
    EXPECT_FALSE(bad_.keep(seconds)) << seconds;
  }
  auto message = make_message<Keep>();
  message.seconds = 1;
  message.reserved = 1;
  bad_.send(message);
  EXPECT_TRUE(bad_.receive_as<Refused>().has_value());
  bad_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 1; }));
}

TEST_F(HostileClient, keptTwice_waitsOnce) {
  EXPECT_TRUE(bad_.keep(kKeepSecondsMax));
  EXPECT_TRUE(bad_.keep(1));
  EXPECT_FALSE(bad_.keep(UINT32_MAX));  // changes nothing
  bad_.close();
  EXPECT_TRUE(eventually([&] { return node_.host.waiting() == 1; }));
  EXPECT_EQ(node_.host.clients(), 2u);
}

TEST_F(HostileClient, keptAndThenCutOff_isNotAwaited) {
  EXPECT_TRUE(bad_.keep(60));
  store(bad_queue_.head().client.submitted, 1000);
  bad_queue_.ring();
  expect_cut_off();
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 1; }));
}

TEST_F(HostileClient, goodbyeBeforeHello_isTurnedAway) {
  TestClient silent = connect();
  silent.send(make_message<Goodbye>());
  EXPECT_TRUE(silent.receive_as<Refused>().has_value());
  EXPECT_TRUE(silent.closed());
}

TEST_F(HostileClient, goodbyeTwice_isHeardOnce) {
  bad_.send(make_message<Goodbye>());
  bad_.send(make_message<Goodbye>());
  EXPECT_TRUE(bad_.closed());
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 1; }));
  EXPECT_EQ(node_.server->statistics().cut_off, 0u);
}

TEST_F(HostileClient, clientThatReadsNoAnswers_isDropped) {
  ASSERT_EQ(::fcntl(bad_.fd(), F_SETFL, O_NONBLOCK), 0);
  auto message = make_message<Unregister>();
  message.token = 1;
  EXPECT_TRUE(eventually([&] {
    bad_.send(message);
    return node_.server->statistics().connected == 1;
  }));
}

TEST_F(HostileClient, socketClosedInTheMiddle_isNoticed) {
  for (int i = 0; i < 8; ++i) {
    bad_queue_.submit({});
  }
  bad_.close();
  EXPECT_TRUE(eventually([&] { return node_.server->statistics().connected == 1; }));
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 1; }));
}

// Entries that change while they are read, indices that jump, regions that are cut: as fast as a
// thread can.
TEST_F(HostileClient, memoryThatChangesAllTheTime_harmsNobodyElse) {
  Submission open{};
  open.opcode = Opcode::kOpenPool;
  const std::uint32_t pool = bad_queue_.run(open).value;
  std::atomic<bool> stop{false};
  std::thread chaos([&] {
    std::uint64_t seed = 1;
    auto* entries = reinterpret_cast<Submission*>(bad_queue_.memory().data() + kSubmissionsOffset);
    while (!stop.load()) {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      Submission& entry = entries[seed >> 61];
      entry.opcode = static_cast<Opcode>((seed >> 50) % 10);
      entry.token = (seed & 1) != 0 ? bad_region_.token : static_cast<std::uint32_t>(seed >> 20);
      entry.length = (seed & 6) != 0 ? kPageSize : static_cast<std::uint32_t>(seed >> 30);
      entry.address = seed % (5 * kPageSize);
      entry.pool = (seed & 8) != 0 ? pool : static_cast<std::uint32_t>(seed >> 25) % 8;
      ClientLine& line = bad_queue_.head().client;
      const std::uint32_t completed = std::atomic_ref(bad_queue_.head().daemon.completed).load();
      store(line.consumed, completed);
      store(line.submitted, completed + static_cast<std::uint32_t>(seed >> 40) % 9);
      store(line.waiting, static_cast<std::uint32_t>(seed >> 33) & 1);
      if ((seed >> 45) % 64 == 0) {
        bad_queue_.ring();
      }
    }
  });
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    ASSERT_EQ(queue_.run(entry(Opcode::kPut, 2, 0)).result, 0);
  }
  stop.store(true);
  chaos.join();
}

}  // namespace
}  // namespace fallow::ring
