// Front ends and guests that break the rules. Each must be told off or dropped, and a good front
// end must be served afterwards.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>

#include "frontend/vhost_user/test_export.h"
#include "frontend/vhost_user/test_front_end.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

using Options = TestFrontEnd::Options;

class HostileFrontEnd : public testing::Test {
 protected:
  void SetUp() override { reconnect({}); }
  void TearDown() override {
    front_.reset();
    auto good = TestFrontEnd::connect(served_.path(), {});
    ASSERT_TRUE(good.ok()) << good.error().text;
    std::vector<std::byte> page(4096, std::byte{42}), back(4096);
    EXPECT_EQ((*good)->write(8192, page), VIRTIO_BLK_S_OK);
    EXPECT_EQ((*good)->read(8192, back), VIRTIO_BLK_S_OK);
    EXPECT_EQ(page, back);
  }
  void reconnect(const Options& options) {
    front_.reset();
    auto front = TestFrontEnd::connect(served_.path(), options);
    ASSERT_TRUE(front.ok()) << front.error().text;
    front_ = std::move(*front);
  }
  // Posts a chain that breaks the ring, and waits until the back end has seen that.
  void expect_queue_breaks(std::uint16_t head) {
    DriverQueue& queue = front_->queue(0);
    queue.post(head);
    queue.kick_always();
    expect_broken_queues(1);
  }
  void expect_broken_queues(std::uint64_t count) {
    served_.wait_until([&] { return served_.statistics().queues_broken == count; });
    // The connection is still there for a driver that resets its ring.
    EXPECT_TRUE(front_->stop_queue(0).ok());
  }
  Descriptor* table() { return front_->queue(0).descriptors(); }
  std::uint64_t slot(unsigned index) { return front_->queue(0).slot_address(index); }

  TestExport served_;
  std::unique_ptr<TestFrontEnd> front_;
};

// Rings.

TEST_F(HostileFrontEnd, descriptorLoop_breaksTheQueue) {
  table()[0] = {slot(0), 16, VRING_DESC_F_NEXT, 1};
  table()[1] = {slot(0), 16, VRING_DESC_F_NEXT, 0};
  expect_queue_breaks(0);
}

TEST_F(HostileFrontEnd, descriptorThatFollowsItself_breaksTheQueue) {
  table()[5] = {slot(0), 16, VRING_DESC_F_NEXT, 5};
  expect_queue_breaks(5);
}

TEST_F(HostileFrontEnd, headPastTheTable_breaksTheQueue) {
  expect_queue_breaks(60000);
}

TEST_F(HostileFrontEnd, nextPastTheTable_breaksTheQueue) {
  table()[0] = {slot(0), 16, VRING_DESC_F_NEXT, 4000};
  expect_queue_breaks(0);
}

TEST_F(HostileFrontEnd, availableIndexJump_breaksTheQueue) {
  DriverQueue& queue = front_->queue(0);
  queue.set_available(static_cast<std::uint16_t>(queue.available() + queue.size() + 1));
  queue.kick_always();
  expect_broken_queues(1);
}

TEST_F(HostileFrontEnd, readableAfterWritable_breaksTheQueue) {
  table()[0] = {slot(0), 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1};
  table()[1] = {slot(0), 16, 0, 0};
  expect_queue_breaks(0);
}

TEST_F(HostileFrontEnd, noStatusByte_breaksTheQueue) {
  table()[0] = {slot(0), 16, 0, 0};
  expect_queue_breaks(0);
}

TEST_F(HostileFrontEnd, statusOutsideMemory_breaksTheQueue) {
  table()[0] = {slot(0), 16, VRING_DESC_F_NEXT, 1};
  table()[1] = {UINT64_MAX - 3, 1, VRING_DESC_F_WRITE, 0};
  expect_queue_breaks(0);
}

TEST_F(HostileFrontEnd, indirectTables_thatAreMalformed_breakTheQueue) {
  const Descriptor bad[] = {
      {slot(0), 0, VRING_DESC_F_INDIRECT, 0},                       // empty
      {slot(0), 17, VRING_DESC_F_INDIRECT, 0},                      // half an entry
      {slot(0), 16 * 1025, VRING_DESC_F_INDIRECT, 0},               // too many entries
      {slot(0), 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1},  // and goes on
      {UINT64_MAX - 15, 32, VRING_DESC_F_INDIRECT, 0},              // wraps
      {0, 32, VRING_DESC_F_INDIRECT, 0},                            // outside memory
  };
  std::uint64_t broken = 0;
  for (const Descriptor& descriptor : bad) {
    reconnect({});
    table()[0] = descriptor;
    front_->queue(0).post(0);
    front_->queue(0).kick_always();
    expect_broken_queues(++broken);
  }
}

TEST_F(HostileFrontEnd, sameHeadTwiceInFlight_breaksTheQueue) {
  TestExport held(FakeBlockDevice::Completion::kOnPoll);
  held.device().hold();
  auto front = TestFrontEnd::connect(held.path(), {});
  ASSERT_TRUE(front.ok());
  DriverQueue& queue = (*front)->queue(0);
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  queue.post(0);
  queue.kick();
  held.wait_until([&] { return held.statistics().queues_broken == 1; });
  held.device().release();
  held.wait_until([&] { return held.statistics().in_flight == 0; });
}

// Requests.

TEST_F(HostileFrontEnd, badRequests_areAnsweredWithAnError) {
  struct Case {
    std::uint32_t type;
    std::uint64_t sector;
    std::uint32_t length;
    std::uint8_t status;
  };
  const std::uint64_t end = front_->config().capacity;
  const Case cases[] = {
      {VIRTIO_BLK_T_IN, end, 512, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_IN, end - 1, 1024, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_OUT, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_OUT, UINT64_MAX / 512, 512, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_IN, 0, 0, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_OUT, 0, 511, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_DISCARD, 0, 17, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_DISCARD, 0, 32, VIRTIO_BLK_S_IOERR},
      {VIRTIO_BLK_T_SECURE_ERASE, 0, 16, VIRTIO_BLK_S_UNSUPP},
      {0xdeadbeef, 0, 512, VIRTIO_BLK_S_UNSUPP},
  };
  for (const Case& bad : cases) {
    EXPECT_EQ(front_->request(bad.type, bad.sector, bad.length), bad.status) << bad.type;
  }
  EXPECT_EQ(front_->discard(0, 4096, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP), VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(front_->write_zeroes(0, 4096, 6), VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(front_->discard(0, 0), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(front_->discard((end - 1) * 512, 4096), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(front_->discard(0, std::uint64_t{kRangeSectorsMax + 1} * 512), VIRTIO_BLK_S_IOERR);
}

TEST_F(HostileFrontEnd, dataPastMemory_isAnsweredWithAnError) {
  DriverQueue& queue = front_->queue(0);
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  const std::uint64_t end = TestFrontEnd::kGuestBase + front_->memory_size();
  table()[1] = {slot(0), 16, VRING_DESC_F_NEXT, 2};
  table()[2] = {end - 512, 1024, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3};
  table()[3] = {slot(1), 1, VRING_DESC_F_WRITE, 0};
  queue.post(1);
  queue.kick();
  DriverQueue::Completion completion;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(queue.wait(completion, 20'000));
  }
  EXPECT_EQ(completion.written, 1u);
  EXPECT_EQ(served_.statistics().errors, 1u);
}

// In-flight regions.

TEST_F(HostileFrontEnd, inflightRegionThatVanishes_endsTheConnectionOnly) {
  reconnect({.start = false});
  const UniqueFd region(::memfd_create("inflight", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(region.get(), 4096), 0);
  const InflightDescription description{4096, 0, 1, 128, 0};
  const int fd = region.get();
  const auto bytes = std::as_bytes(std::span(&description, 1));
  ASSERT_TRUE(front_->send(RequestType::kSetInflightFd, bytes, {&fd, 1}).ok());
  ASSERT_TRUE(front_->start_queues().ok());
  ASSERT_EQ(::ftruncate(fd, 0), 0);
  front_->queue(0).submit(0, VIRTIO_BLK_T_FLUSH, 0, 0);
  front_->queue(0).kick_always();
  EXPECT_TRUE(front_->wait_for_hang_up());
}

TEST_F(HostileFrontEnd, badInflightRegions_areRefused) {
  const UniqueFd region(::memfd_create("inflight", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(region.get(), 4096), 0);
  const int fd = region.get();
  const auto set = [&](const InflightDescription& description, std::span<const int> fds) {
    const auto bytes = std::as_bytes(std::span(&description, 1));
    return front_->send(RequestType::kSetInflightFd, bytes, fds).ok();
  };
  EXPECT_FALSE(set({4096, 0, 1, 128, 0}, {&fd, 1}));  // rings are running
  reconnect({.start = false});
  EXPECT_FALSE(set({4096, 0, 1, 128, 0}, {}));
  EXPECT_FALSE(set({4096, 0, 0, 128, 0}, {&fd, 1}));
  EXPECT_FALSE(set({4096, 0, 1, 0, 0}, {&fd, 1}));
  EXPECT_FALSE(set({4096, 0, 2, 128, 0}, {&fd, 1}));
  EXPECT_FALSE(set({UINT64_MAX, 0, 65535, 65535, 0}, {&fd, 1}));
  EXPECT_FALSE(set({8192, 0, 2, 128, 0}, {&fd, 1}));
  EXPECT_FALSE(set({4096, 4096, 1, 128, 0}, {&fd, 1}));
  EXPECT_FALSE(set({4096, UINT64_MAX - 4095, 1, 128, 0}, {&fd, 1}));
  EXPECT_TRUE(set({4096, 0, 1, 64, 0}, {&fd, 1}));
  EXPECT_FALSE(front_->start_queues().ok());  // rings of 128 do not fit
}

// Messages.

TEST_F(HostileFrontEnd, badRingSetups_areRefused) {
  const auto set = [this](RequestType type, std::uint32_t index, std::uint32_t value) {
    return front_->send_state(type, index, value).ok();
  };
  EXPECT_FALSE(set(RequestType::kSetVringNum, 0, 128));  // it is running
  ASSERT_TRUE(front_->stop_queue(0).ok());
  for (const std::uint32_t size : {0u, 3u, 127u, 2048u, 0x80000000u, UINT32_MAX}) {
    EXPECT_FALSE(set(RequestType::kSetVringNum, 0, size)) << size;
  }
  EXPECT_FALSE(set(RequestType::kSetVringNum, 64, 128));
  EXPECT_FALSE(set(RequestType::kSetVringNum, UINT32_MAX, 128));
  EXPECT_FALSE(set(RequestType::kSetVringBase, 0, 65536));
  EXPECT_FALSE(set(RequestType::kSetVringEnable, 0, 2));
  EXPECT_TRUE(set(RequestType::kSetVringNum, 0, 128));
}

TEST_F(HostileFrontEnd, ringOutsideMemoryOrUnaligned_isRefused) {
  const int kick = front_->queue(0).kick_fd();
  const auto start = [&](const VringAddress& addresses) {
    EXPECT_TRUE(front_->stop_queue(0).ok());
    const auto bytes = std::as_bytes(std::span(&addresses, 1));
    if (!front_->send(RequestType::kSetVringAddr, bytes).ok()) {
      return false;
    }
    const std::uint64_t index = 0;
    return front_->send(RequestType::kSetVringKick, std::as_bytes(std::span(&index, 1)), {&kick, 1})
        .ok();
  };
  const VringAddress good = front_->addresses(0);
  VringAddress bad = good;
  bad.descriptors += 8;
  EXPECT_FALSE(start(bad));
  bad = good;
  bad.used += front_->memory_size();
  EXPECT_FALSE(start(bad));
  bad = good;
  bad.available = UINT64_MAX - 1;
  EXPECT_FALSE(start(bad));
  bad = good;
  bad.flags = 2;
  EXPECT_FALSE(start(bad));
  EXPECT_TRUE(start(good));
}

TEST_F(HostileFrontEnd, badMemoryTables_areRefusedAndLeaveTheOldOne) {
  const int fd = front_->memory_fd();
  const Region good = front_->regions()[0];
  const auto refused = [&](std::initializer_list<Region> regions) {
    const std::vector<Region> table(regions);
    const std::vector<int> fds(table.size(), fd);
    return !front_->send_table(table, fds).ok();
  };
  Region bad = good;
  EXPECT_TRUE(refused({good, good}));  // overlap
  bad.guest_address = good.guest_address + good.size;
  bad.user_address = good.user_address + good.size - 4096;
  EXPECT_TRUE(refused({good, bad}));  // overlap by user address
  bad = good;
  bad.size = 0;
  EXPECT_TRUE(refused({bad}));
  bad.size = good.size + 4096;  // past the end of the file
  EXPECT_TRUE(refused({bad}));
  bad.size = good.size - 1;
  EXPECT_TRUE(refused({bad}));
  bad = good;
  bad.guest_address = UINT64_MAX - 4095;
  EXPECT_TRUE(refused({bad}));
  bad = good;
  bad.file_offset = UINT64_MAX - 4095;
  EXPECT_TRUE(refused({bad}));
  bad = good;
  bad.user_address += 1;
  EXPECT_TRUE(refused({bad}));
  EXPECT_EQ(front_->flush(), VIRTIO_BLK_S_OK);
}

TEST_F(HostileFrontEnd, memoryThatIsNoFileInMemory_isRefused) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Region region = front_->regions()[0];
  EXPECT_FALSE(front_->send_table({&region, 1}, {&ends[0], 1}).ok());
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(HostileFrontEnd, memoryTableWithoutTheRings_stopsThem) {
  const UniqueFd other(::memfd_create("other", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(other.get(), 4096), 0);
  const Region region{0, 4096, 0x1000, 0};
  const int fd = other.get();
  EXPECT_TRUE(front_->send_table({&region, 1}, {&fd, 1}).ok());
  front_->queue(0).submit(0, VIRTIO_BLK_T_FLUSH, 0, 0);
  front_->queue(0).kick_always();
  EXPECT_TRUE(front_->stop_queue(0).ok());
  EXPECT_EQ(served_.statistics().flushes, 0u);
}

TEST_F(HostileFrontEnd, memoryThatVanishes_endsTheConnectionOnly) {
  ASSERT_EQ(::ftruncate(front_->memory_fd(), 0), 0);
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(front_->queue(0).kick_fd(), &one, sizeof one), 8);
  EXPECT_TRUE(front_->wait_for_hang_up());
}

TEST_F(HostileFrontEnd, dataThatVanishes_isAnErrorAndNoZeros) {
  TestExport held(FakeBlockDevice::Completion::kOnPoll);
  held.device().hold();
  auto front = TestFrontEnd::connect(held.path(), {});
  ASSERT_TRUE(front.ok());
  DriverQueue& queue = (*front)->queue(0);
  const unsigned last = queue.slots() - 1;
  queue.submit(last, VIRTIO_BLK_T_OUT, 0, 4096);
  queue.kick();
  held.wait_until([&] { return held.statistics().in_flight == 1; });
  ASSERT_EQ(::ftruncate((*front)->memory_fd(), static_cast<off_t>((*front)->memory_size() - 4096)),
            0);
  held.device().release();
  EXPECT_TRUE((*front)->wait_for_hang_up());
  EXPECT_EQ(held.statistics().errors, 1u);
}

TEST_F(HostileFrontEnd, unknownRequest_isRefused) {
  EXPECT_FALSE(front_->send(static_cast<RequestType>(99), {}).ok());
  EXPECT_FALSE(front_->send(static_cast<RequestType>(22), std::vector<std::byte>(16)).ok());
  EXPECT_EQ(front_->flush(), VIRTIO_BLK_S_OK);
}

TEST_F(HostileFrontEnd, unknownRequestWithoutAcknowledgement_endsTheConnection) {
  const Header header{99, kVersion, 0};
  ASSERT_TRUE(front_->send_raw(std::as_bytes(std::span(&header, 1))).ok());
  EXPECT_TRUE(front_->wait_for_hang_up());
}

TEST_F(HostileFrontEnd, setConfig_isRefused) {
  std::vector<std::byte> payload(16);
  payload[4] = std::byte{4};
  EXPECT_FALSE(front_->send(RequestType::kSetConfig, payload).ok());
}

TEST_F(HostileFrontEnd, featuresThatWereNotOffered_areRefused) {
  const std::uint64_t all = UINT64_MAX;
  const auto bytes = std::as_bytes(std::span(&all, 1));
  EXPECT_FALSE(front_->send(RequestType::kSetFeatures, bytes).ok());
  EXPECT_FALSE(front_->send(RequestType::kSetProtocolFeatures, bytes).ok());
}

TEST_F(HostileFrontEnd, hugePayload_endsTheConnection) {
  const Header header{2, kVersion, UINT32_MAX};
  ASSERT_TRUE(front_->send_raw(std::as_bytes(std::span(&header, 1))).ok());
  EXPECT_TRUE(front_->wait_for_hang_up());
}

TEST_F(HostileFrontEnd, tooManyDescriptors_endTheConnection) {
  const std::vector<int> fds(20, front_->memory_fd());
  const Header header{3, kVersion, 0};
  ASSERT_TRUE(front_->send_raw(std::as_bytes(std::span(&header, 1)), fds).ok());
  EXPECT_TRUE(front_->wait_for_hang_up());
}

TEST_F(HostileFrontEnd, descriptorsWhereNoneBelong_areRefusedAndClosed) {
  const std::uint64_t value = front_->features();
  const std::vector<int> fds(3, front_->memory_fd());
  EXPECT_FALSE(
      front_->send(RequestType::kSetFeatures, std::as_bytes(std::span(&value, 1)), fds).ok());
}

TEST_F(HostileFrontEnd, kickThatIsNoEventfdOrIsMissing_isRefused) {
  ASSERT_TRUE(front_->stop_queue(0).ok());
  const int fd = front_->memory_fd();
  std::uint64_t word = 0;
  const auto bytes = std::as_bytes(std::span(&word, 1));
  EXPECT_FALSE(front_->send(RequestType::kSetVringKick, bytes, {&fd, 1}).ok());
  EXPECT_FALSE(front_->send(RequestType::kSetVringKick, bytes).ok());
  word = 1u << 8;  // 'poll instead'
  EXPECT_FALSE(front_->send(RequestType::kSetVringKick, bytes).ok());
  EXPECT_TRUE(front_->send(RequestType::kSetVringErr, bytes).ok());
}

TEST_F(HostileFrontEnd, truncatedMessages_holdUpNobody) {
  const Header header{2, kVersion, 8};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    reconnect({});
    ASSERT_TRUE(front_->send_raw(bytes.first(size)).ok());
    EXPECT_EQ(front_->flush(), VIRTIO_BLK_S_OK);  // rings go on meanwhile
  }
}

TEST_F(HostileFrontEnd, messageByteByByte_isUnderstood) {
  const Header header{static_cast<std::uint32_t>(RequestType::kSetOwner), kVersion | kFlagNeedReply,
                      0};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  for (const std::byte& byte : bytes) {
    ASSERT_TRUE(front_->send_raw({&byte, 1}).ok());
  }
  EXPECT_TRUE(front_->ask_u64(RequestType::kGetFeatures).ok());
}

}  // namespace
}  // namespace fallow::vhost_user
