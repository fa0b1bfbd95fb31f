#include "frontend/vhost_user/vhost_user_blk.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <random>
#include <set>

#include "frontend/vhost_user/test_export.h"
#include "frontend/vhost_user/test_front_end.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

using Options = TestFrontEnd::Options;
using Bytes = std::vector<std::byte>;

std::unique_ptr<TestFrontEnd> connect(const TestExport& served, const Options& options = {}) {
  auto front = TestFrontEnd::connect(served.path(), options);
  if (!front) {
    ADD_FAILURE() << front.error().text;
    return nullptr;
  }
  return std::move(*front);
}

Bytes pattern(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Bytes result(size);
  for (std::byte& byte : result) {
    byte = static_cast<std::byte>(random());
  }
  return result;
}

TEST(VhostUserBlk, negotiate_offersConfigurationOfTheDevice) {
  TestExport served;
  auto front = connect(served);
  ASSERT_NE(front, nullptr);
  EXPECT_EQ(front->config().capacity, (4u << 20) / 512);
  EXPECT_EQ(front->config().blk_size, 4096u);
  EXPECT_EQ(front->config().seg_max, kSegmentsMax);
  EXPECT_EQ(front->config().discard_sector_alignment, 8u);
  EXPECT_EQ(front->queue_num(), 64u);
  EXPECT_TRUE(served.statistics().connected);
}

TEST(VhostUserBlk, getId_returnsTheSerial) {
  TestExport served;
  auto front = connect(served);
  std::string id;
  EXPECT_EQ(front->get_id(id), VIRTIO_BLK_S_OK);
  EXPECT_EQ(id, "fallow-test");
}

// Every combination of ring features, reads back what was written.
class RoundTrip
    : public testing::TestWithParam<std::tuple<bool, bool, FakeBlockDevice::Completion>> {};

TEST_P(RoundTrip, writeReadDiscard_returnsWhatWasWritten) {
  TestExport served(std::get<2>(GetParam()));
  Options options;
  options.queue.indirect = std::get<0>(GetParam());
  options.queue.event_index = std::get<1>(GetParam());
  options.queue.slot_bytes = 16384;
  auto front = connect(served, options);
  ASSERT_NE(front, nullptr);
  const Bytes data = pattern(16384, 1);
  Bytes back(data.size());
  EXPECT_EQ(front->write(65536, data), VIRTIO_BLK_S_OK);
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
  EXPECT_EQ(front->read(65536, back), VIRTIO_BLK_S_OK);
  EXPECT_EQ(back, data);
  EXPECT_EQ(front->discard(65536, 4096), VIRTIO_BLK_S_OK);
  EXPECT_EQ(front->write_zeroes(65536 + 8192, 4096, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
            VIRTIO_BLK_S_OK);
  EXPECT_EQ(front->read(65536, back), VIRTIO_BLK_S_OK);
  EXPECT_TRUE(std::equal(back.begin() + 4096, back.begin() + 8192, data.begin() + 4096));
  EXPECT_EQ(Bytes(back.begin(), back.begin() + 4096), Bytes(4096));
  EXPECT_EQ(Bytes(back.begin() + 8192, back.begin() + 12288), Bytes(4096));
}

INSTANTIATE_TEST_SUITE_P(AllRings, RoundTrip,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(FakeBlockDevice::Completion::kAtOnce,
                                                          FakeBlockDevice::Completion::kOnPoll)));

TEST(VhostUserBlk, requestAcrossTwoRegions_isServed) {
  TestExport served;
  Options options;
  options.regions = 2;
  options.queue.slot_bytes = 8192;
  auto front = connect(served, options);
  DriverQueue& queue = front->queue(0);
  const unsigned last = queue.slots() - 1;
  const Bytes data = pattern(8192, 2);
  std::copy(data.begin(), data.end(), queue.data(last).begin());
  queue.submit(last, VIRTIO_BLK_T_OUT, 0, 8192);
  queue.kick();
  DriverQueue::Completion completion;
  ASSERT_TRUE(queue.wait(completion, 20'000));
  EXPECT_EQ(completion.status, VIRTIO_BLK_S_OK);
  served.on_loop(
      [&] { EXPECT_TRUE(std::equal(data.begin(), data.end(), served.device().bytes().begin())); });
}

// Random operations at full depth on all queues, against a plain copy of the disk. Each slot has
// its own part of the disk, so that the order of requests in flight does not matter.
void run_random(TestExport& served, TestFrontEnd& front, unsigned queues, unsigned rounds) {
  const std::uint64_t pages = served.device().size_bytes() / 4096;
  std::vector<std::uint64_t> model(pages, 0);
  std::mt19937 random(7);
  std::uint64_t stamp = 1;
  struct Pending {
    bool read = false;
    std::uint64_t page = 0;
  };
  std::vector<std::vector<Pending>> pending(queues, std::vector<Pending>(front.queue(0).slots()));
  const std::uint64_t own = pages / (queues * front.queue(0).slots());
  for (unsigned round = 0; round < rounds; ++round) {
    for (unsigned q = 0; q < queues; ++q) {
      DriverQueue& queue = front.queue(q);
      for (unsigned slot = 0; slot < queue.slots(); ++slot) {
        const std::uint64_t page = (q * queue.slots() + slot) * own + random() % own;
        Pending& request = pending[q][slot];
        request = {random() % 2 == 0, page};
        if (!request.read) {
          model[page] = stamp++;
          std::memcpy(queue.data(slot).data(), &model[page], 8);
        }
        queue.submit(slot, request.read ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, page * 8, 4096);
        if (random() % 8 == 0) {
          queue.kick();
        }
      }
      queue.kick();
    }
    for (unsigned q = 0; q < queues; ++q) {
      DriverQueue& queue = front.queue(q);
      for (unsigned i = 0; i < queue.slots(); ++i) {
        DriverQueue::Completion completion;
        ASSERT_TRUE(queue.wait(completion, 20'000));
        ASSERT_LT(completion.slot, queue.slots());
        ASSERT_EQ(completion.status, VIRTIO_BLK_S_OK);
        const Pending& request = pending[q][completion.slot];
        std::uint64_t seen = 0;
        std::memcpy(&seen, queue.data(completion.slot).data(), 8);
        ASSERT_TRUE(!request.read || seen == model[request.page]);
      }
    }
  }
}

TEST(VhostUserBlk, manyQueuesAtFullDepth_matchAModel) {
  TestExport served;
  Options options;
  options.queues = 4;
  options.queue.size = 64;
  auto front = connect(served, options);
  run_random(served, *front, 4, 50);
  EXPECT_EQ(served.statistics().errors, 0u);
}

TEST(VhostUserBlk, deviceThatCompletesLater_matchesAModel) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  Options options;
  options.queues = 2;
  options.queue.size = 32;
  options.queue.event_index = false;
  auto front = connect(served, options);
  run_random(served, *front, 2, 50);
}

TEST(VhostUserBlk, failingDevice_givesTheGuestAnError) {
  TestExport served;
  auto front = connect(served);
  served.device().set_failing(true);
  EXPECT_EQ(front->write(0, pattern(4096, 3)), VIRTIO_BLK_S_IOERR);
  served.device().set_failing(false);
  EXPECT_EQ(front->write(0, pattern(4096, 3)), VIRTIO_BLK_S_OK);
  EXPECT_EQ(served.statistics().errors, 1u);
}

TEST(VhostUserBlk, secondConnection_isClosedWhileTheFirstGoesOn) {
  TestExport served;
  auto first = connect(served);
  Options options;
  options.timeout_ms = 20'000;
  EXPECT_FALSE(TestFrontEnd::connect(served.path(), options).ok());
  EXPECT_EQ(first->flush(), VIRTIO_BLK_S_OK);
  EXPECT_EQ(served.statistics().connections_refused, 1u);
}

TEST(VhostUserBlk, reconnectAtOnce_isServed) {
  TestExport served;
  for (unsigned i = 0; i < 20; ++i) {
    auto front = connect(served);
    ASSERT_NE(front, nullptr);
    EXPECT_EQ(front->write(0, pattern(4096, i)), VIRTIO_BLK_S_OK);
  }
  EXPECT_EQ(served.statistics().connections_refused, 0u);
}

TEST(VhostUserBlk, disconnectInMidRequest_keepsMemoryUntilTheDeviceIsDone) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  served.device().hold();
  auto front = connect(served);
  DriverQueue& queue = front->queue(0);
  for (unsigned slot = 0; slot < 16; ++slot) {
    queue.submit(slot, VIRTIO_BLK_T_IN, 0, 4096);
  }
  queue.kick();
  served.wait_until([&] { return served.device().in_flight() == 16; });
  front.reset();
  served.wait_until([&] { return !served.statistics().connected; });
  EXPECT_EQ(served.device().in_flight(), 16u);
  served.device().release();  // the device now writes into the guest memory of a front end gone
  auto next = connect(served);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->flush(), VIRTIO_BLK_S_OK);
}

TEST(VhostUserBlk, getVringBase_answersAfterTheRequestsInFlight) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  served.device().hold();
  auto front = connect(served);
  DriverQueue& queue = front->queue(0);
  for (unsigned slot = 0; slot < 8; ++slot) {
    queue.submit(slot, VIRTIO_BLK_T_IN, 0, 4096);
  }
  queue.kick();
  served.wait_until([&] { return served.device().in_flight() == 8; });
  served.device().release();
  const auto base = front->stop_queue(0);
  ASSERT_TRUE(base.ok());
  EXPECT_EQ(*base, 8u);
  DriverQueue::Completion completion;
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_TRUE(queue.poll(completion));  // already there: the reply came after them
  }
  ASSERT_TRUE(front->setup_queue(0, *base).ok());
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

// After a restart of the daemon a guest's rings go on where they were, and its pages are gone: it
// must get errors, not a disk of zeros.
TEST(VhostUserBlk, guestThatWasRunningBeforeTheDisk_isRefusedUntilItBeginsAnew) {
  TestExport served;
  const auto connect_stopped = [&] {
    auto front = TestFrontEnd::connect(served.path(), {.start = false});
    EXPECT_TRUE(front.ok());
    EXPECT_TRUE((*front)->share_memory().ok());
    return std::move(*front);
  };
  {
    auto running = connect_stopped();
    EXPECT_FALSE(running->setup_queue(0, 7).ok());
  }
  served.wait_until([&] { return !served.statistics().connected; });
  {
    auto beginning = connect_stopped();
    EXPECT_TRUE(beginning->setup_queue(0, 0).ok());
  }
  served.wait_until([&] { return !served.statistics().connected; });
  auto reconnecting = connect_stopped();
  EXPECT_TRUE(reconnecting->setup_queue(0, 7).ok());
}

TEST(VhostUserBlk, recoveredDisk_letsAGuestThatWasRunningGoOn) {
  ExportOptions options;
  options.recovered = true;
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, options);
  auto front = TestFrontEnd::connect(served.path(), {.start = false});
  ASSERT_TRUE(front.ok());
  ASSERT_TRUE((*front)->share_memory().ok());
  EXPECT_TRUE((*front)->setup_queue(0, 7).ok());
}

TEST(VhostUserBlk, frontEndThatAcknowledgedInALifeBefore_isTakenAtItsWord) {
  TestExport served;
  auto front = connect(served, {.inflight = true});
  ASSERT_NE(front, nullptr);
  ::shutdown(front->socket(), SHUT_RDWR);
  served.wait_until([&] { return !served.statistics().connected; });
  const Status back = front->reconnect(served.path(), TestFrontEnd::Acknowledging::kRemembered);
  ASSERT_TRUE(back.ok()) << back.error().text;
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

// Requests of a connection that broke are served by the next one, in their order, and only then
// does the ring go on.
TEST(VhostUserBlk, requestsOfABrokenConnection_areServedByTheNext) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  auto front = connect(served, {.inflight = true});
  ASSERT_NE(front, nullptr);
  DriverQueue& queue = front->queue(0);
  served.device().hold();
  for (unsigned slot = 0; slot < 8; ++slot) {
    queue.submit(slot, VIRTIO_BLK_T_FLUSH, 0, 0);
  }
  queue.kick();
  served.wait_until([&] { return served.statistics().in_flight == 8; });
  ::shutdown(front->socket(), SHUT_RDWR);
  served.wait_until([&] { return !served.statistics().connected; });
  served.device().release();
  DriverQueue::Completion completion;
  EXPECT_FALSE(queue.poll(completion));  // nothing is shown to a front end that has gone
  ASSERT_TRUE(front->reconnect(served.path()).ok());
  for (unsigned slot = 0; slot < 8; ++slot) {
    ASSERT_TRUE(queue.wait(completion, 20'000));
    EXPECT_EQ(completion.slot, slot);
    EXPECT_EQ(completion.status, VIRTIO_BLK_S_OK);
  }
  EXPECT_FALSE(queue.poll(completion));
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
  EXPECT_EQ(served.statistics().flushes, 17u);
}

TEST(VhostUserBlk, ringThatStopsBeforeItIsServed_leavesNothingBehind) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  auto front = connect(served, {.inflight = true, .enable = false});
  ASSERT_NE(front, nullptr);
  DriverQueue& queue = front->queue(0);
  ASSERT_TRUE(front->send_state(RequestType::kSetVringEnable, 0, 1).ok());
  served.device().hold();
  for (unsigned slot = 0; slot < 5; ++slot) {
    queue.submit(slot, VIRTIO_BLK_T_FLUSH, 0, 0);
  }
  queue.kick();
  served.wait_until([&] { return served.statistics().in_flight == 5; });
  ::shutdown(front->socket(), SHUT_RDWR);
  served.wait_until([&] { return !served.statistics().connected; });
  served.device().release();
  ASSERT_TRUE(front->reconnect(served.path()).ok());  // started, but not enabled
  EXPECT_EQ(front->stop_queue(0).value(), 5u);
  EXPECT_EQ(queue.used_index(), 5u);
}

TEST(VhostUserBlk, newMemoryTableInMidRequest_waitsForTheDevice) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  served.device().hold();
  auto front = connect(served);
  DriverQueue& queue = front->queue(0);
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  queue.kick();
  served.wait_until([&] { return served.device().in_flight() == 1; });
  served.device().release();
  ASSERT_TRUE(front->share_memory().ok());
  DriverQueue::Completion completion;
  EXPECT_TRUE(queue.wait(completion, 20'000));
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

TEST(VhostUserBlk, disabledRing_isServedOnceEnabled) {
  TestExport served;
  auto front = connect(served);
  ASSERT_TRUE(front->send_state(RequestType::kSetVringEnable, 0, 0).ok());
  DriverQueue& queue = front->queue(0);
  queue.submit(0, VIRTIO_BLK_T_FLUSH, 0, 0);
  queue.kick_always();
  ASSERT_TRUE(front->ask_u64(RequestType::kGetFeatures).ok());
  DriverQueue::Completion completion;
  EXPECT_FALSE(queue.poll(completion));
  ASSERT_TRUE(front->send_state(RequestType::kSetVringEnable, 0, 1).ok());
  EXPECT_TRUE(queue.wait(completion, 20'000));
}

TEST(VhostUserBlk, resetOwnerAndResetDevice_stopTheRings) {
  TestExport served;
  auto front = connect(served);
  for (const auto type : {RequestType::kResetOwner, RequestType::kResetDevice}) {
    ASSERT_TRUE(front->send(type, {}).ok());
    EXPECT_EQ(front->stop_queue(0).value(), 0u);
  }
}

TEST(VhostUserBlk, stop_completesRequestsInFlightFirst) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  served.device().hold();
  auto front = connect(served);
  DriverQueue& queue = front->queue(0);
  queue.submit(0, VIRTIO_BLK_T_FLUSH, 0, 0);
  queue.kick();
  served.wait_until([&] { return served.device().in_flight() == 1; });
  served.device().release();
  served.stop();
  DriverQueue::Completion completion;
  EXPECT_TRUE(queue.poll(completion));
  EXPECT_EQ(completion.status, VIRTIO_BLK_S_OK);
  EXPECT_TRUE(front->wait_for_hang_up());
  EXPECT_FALSE(TestFrontEnd::connect(served.path(), {}).ok());
}

TEST(VhostUserBlk, create_takenSocket_fails) {
  TestExport served;
  auto loop = EventLoop::create();
  FakeBlockDevice device(1 << 20);
  ExportOptions options;
  options.socket_path = served.path();
  EXPECT_FALSE(VhostUserBlk::create(**loop, device, options).ok());
  options.socket_path.clear();
  options.queues_max = 257;
  EXPECT_FALSE(VhostUserBlk::create(**loop, device, options).ok());
}

}  // namespace
}  // namespace fallow::vhost_user
