// What a front end changes while its guest is running: memory slots, the dirty log of a migration,
// the size of the disk.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "frontend/vhost_user/test_export.h"
#include "frontend/vhost_user/test_front_end.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

using Options = TestFrontEnd::Options;

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::unique_ptr<TestFrontEnd> connect(const TestExport& served, const Options& options = {}) {
  auto front = TestFrontEnd::connect(served.path(), options);
  if (!front) {
    ADD_FAILURE() << front.error().text;
    return nullptr;
  }
  return std::move(*front);
}

// Memory slots.

struct SlotMessage {
  std::uint64_t padding = 0;
  Region region;
};

Status add_slot(TestFrontEnd& front, const Region& region, int fd) {
  return front.send(RequestType::kAddMemReg, bytes_of(SlotMessage{0, region}), {&fd, 1});
}
Status remove_slot(TestFrontEnd& front, const Region& region) {
  return front.send(RequestType::kRemMemReg, bytes_of(SlotMessage{0, region}));
}

TEST(MemorySlots, regionsOneByOne_makeTheTable) {
  TestExport served;
  auto front = connect(served, {.regions = 2, .start = false});
  ASSERT_NE(front, nullptr);
  EXPECT_EQ(front->ask_u64(RequestType::kGetMaxMemSlots).value(), 509u);
  for (const Region& region : front->regions()) {
    ASSERT_TRUE(add_slot(*front, region, front->memory_fd()).ok());
  }
  ASSERT_TRUE(front->setup_queue(0, 0).ok());
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

TEST(MemorySlots, hotPluggedAndUnplugged_disturbNoRing) {
  TestExport served(FakeBlockDevice::Completion::kOnPoll);
  auto front = connect(served);
  const UniqueFd dimm(::memfd_create("dimm", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(dimm.get(), 1 << 20), 0);
  const Region plugged{1ull << 40, 1 << 20, 0x10000, 0};
  served.device().hold();
  DriverQueue& queue = front->queue(0);
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  queue.kick();
  served.wait_until([&] { return served.statistics().in_flight == 1; });
  ASSERT_TRUE(add_slot(*front, plugged, dimm.get()).ok());  // does not wait for the request
  EXPECT_FALSE(add_slot(*front, plugged, dimm.get()).ok());
  served.device().release();
  DriverQueue::Completion completion;
  ASSERT_TRUE(queue.wait(completion, 20'000));
  // The driver reads into the new memory.
  served.on_loop([&] { served.device().bytes()[0] = std::byte{42}; });
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  const std::uint64_t slot = queue.slot_address(0);
  Descriptor* table = queue.descriptors();
  table[1] = {slot, 16, VRING_DESC_F_NEXT, 2};
  table[2] = {plugged.guest_address + 8192, 4096, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3};
  table[3] = {queue.slot_address(1), 1, VRING_DESC_F_WRITE, 0};
  queue.post(1);
  queue.kick();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(queue.wait(completion, 20'000));
  }
  std::byte byte{};
  ASSERT_EQ(::pread(dimm.get(), &byte, 1, 8192), 1);
  EXPECT_EQ(byte, std::byte{42});
  Region other = plugged;
  other.size /= 2;
  EXPECT_FALSE(remove_slot(*front, other).ok());
  ASSERT_TRUE(remove_slot(*front, plugged).ok());
  EXPECT_FALSE(remove_slot(*front, plugged).ok());
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

TEST(MemorySlots, slotUnderARing_isRemovedWithIt) {
  TestExport served;
  auto front = connect(served);
  ASSERT_TRUE(remove_slot(*front, front->regions()[0]).ok());
  front->queue(0).submit(0, VIRTIO_BLK_T_FLUSH, 0, 0);
  front->queue(0).kick_always();
  EXPECT_TRUE(front->stop_queue(0).ok());
  EXPECT_EQ(served.statistics().flushes, 0u);
}

TEST(MemorySlots, moreThanThereAre_areRefused) {
  TestExport served;
  auto front = connect(served);
  const UniqueFd file(::memfd_create("dimms", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
  unsigned added = 0;
  while (added < 1000 &&
         add_slot(*front, {(1ull << 40) + added * 8192, 4096, 0x10000 + added * 8192ull, 0},
                  file.get())
             .ok()) {
    ++added;
  }
  EXPECT_EQ(added, 508u);  // one is the guest's own
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

// The dirty log.

ExportOptions migratable() {
  ExportOptions options;
  options.migratable = true;
  return options;
}

class LoggedGuest {
 public:
  explicit LoggedGuest(TestFrontEnd& front)
      : front_(front), file_(::memfd_create("log", MFD_CLOEXEC)) {
    const std::uint64_t pages = (TestFrontEnd::kGuestBase + front.memory_size()) / 4096;
    size_ = (pages + 7) / 8;
    EXPECT_EQ(::ftruncate(file_.get(), static_cast<off_t>(size_)), 0);
  }
  Status set_log() { return front_.set_log_base({size_, 0}, file_.get()); }
  Status set_features(bool log) {
    const std::uint64_t features = front_.features() | (log ? bit(kFeatureLogAll) : 0);
    return front_.send(RequestType::kSetFeatures, bytes_of(features));
  }
  Status set_used_log(bool log) {
    VringAddress addresses = front_.addresses(0);
    addresses.flags = log ? kVringFlagLog : 0;
    addresses.log = TestFrontEnd::kGuestBase + front_.queue(0).used_offset();
    return front_.send(RequestType::kSetVringAddr, bytes_of(addresses));
  }
  [[nodiscard]] bool marked(std::size_t offset) const {
    const std::uint64_t page = (TestFrontEnd::kGuestBase + offset) / 4096;
    std::uint8_t byte = 0;
    EXPECT_EQ(::pread(file_.get(), &byte, 1, static_cast<off_t>(page / 8)), 1);
    return (byte >> page % 8 & 1) != 0;
  }
  void clear() {
    EXPECT_EQ(::ftruncate(file_.get(), 0), 0);
    EXPECT_EQ(::ftruncate(file_.get(), static_cast<off_t>(size_)), 0);
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] int file() const { return file_.get(); }

 private:
  TestFrontEnd& front_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

std::vector<std::byte> snapshot(const TestFrontEnd& front) {
  std::vector<std::byte> copy(front.memory_size());
  EXPECT_EQ(::pread(front.memory_fd(), copy.data(), copy.size(), 0),
            static_cast<ssize_t>(copy.size()));
  return copy;
}

// Every page that changes in guest memory, but for those that the driver writes, is in the log.
void expect_changes_logged(TestFrontEnd& front, const LoggedGuest& guest, unsigned requests) {
  DriverQueue& queue = front.queue(0);
  const auto before = snapshot(front);  // a ring may be looked at before it is kicked
  for (unsigned slot = 0; slot < requests; ++slot) {
    const std::uint32_t type = slot % 8 == 7 ? VIRTIO_BLK_T_GET_ID : VIRTIO_BLK_T_IN;
    queue.submit(slot, type, slot * 8, slot % 8 == 7 ? VIRTIO_BLK_ID_BYTES : 4096);
  }
  queue.kick();
  DriverQueue::Completion completion;
  for (unsigned i = 0; i < requests; ++i) {
    ASSERT_TRUE(queue.wait(completion, 20'000));
    ASSERT_EQ(completion.status, VIRTIO_BLK_S_OK);
  }
  ASSERT_TRUE(front.stop_queue(0).ok());  // what comes after is in the log now
  const auto after = snapshot(front);
  const std::size_t own = queue.available_offset() / 4096;
  unsigned changed = 0;
  for (std::size_t page = 0; page < before.size() / 4096; ++page) {
    if (page != own && std::memcmp(&before[page * 4096], &after[page * 4096], 4096) != 0) {
      ++changed;
      EXPECT_TRUE(guest.marked(page * 4096)) << "page " << page;
    }
  }
  EXPECT_GT(changed, requests);
}

class DirtyLogOfAGuest : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  [[nodiscard]] static Options options() {
    Options result;
    result.queue.indirect = std::get<0>(GetParam());
    result.queue.event_index = std::get<1>(GetParam());
    return result;
  }
};

TEST_P(DirtyLogOfAGuest, startedInMidRun_hasEveryPageThatChanges) {
  TestExport served(FakeBlockDevice::Completion::kOutOfOrder, 4 << 20, migratable());
  std::memset(served.device().bytes().data(), 0x5a, served.device().bytes().size());
  auto front = connect(served, options());
  LoggedGuest guest(*front);
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
  ASSERT_TRUE(guest.set_log().ok());
  ASSERT_TRUE(guest.set_features(true).ok());
  ASSERT_TRUE(guest.set_used_log(true).ok());
  expect_changes_logged(*front, guest, 32);
}

INSTANTIATE_TEST_SUITE_P(AllRings, DirtyLogOfAGuest,
                         testing::Combine(testing::Bool(), testing::Bool()));

TEST(DirtyLog, switchedOff_marksNothing) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served);
  LoggedGuest guest(*front);
  ASSERT_TRUE(guest.set_log().ok());
  ASSERT_TRUE(guest.set_features(true).ok());
  std::vector<std::byte> page(4096);
  EXPECT_EQ(front->read(0, page), VIRTIO_BLK_S_OK);
  EXPECT_TRUE(guest.marked(front->queue(0).slot_address(0) - TestFrontEnd::kGuestBase));
  EXPECT_FALSE(guest.marked(front->queue(0).used_offset()));  // was not asked for
  ASSERT_TRUE(guest.set_features(false).ok());
  guest.clear();
  EXPECT_EQ(front->read(0, page), VIRTIO_BLK_S_OK);
  for (std::size_t at = 0; at < front->memory_size(); at += 4096) {
    EXPECT_FALSE(guest.marked(at));
  }
}

TEST(DirtyLog, ringsThatAreToBeLogged_waitForTheirLog) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served, {.start = false});
  LoggedGuest guest(*front);
  ASSERT_TRUE(guest.set_features(true).ok());
  ASSERT_TRUE(front->start_queues().ok());
  DriverQueue& queue = front->queue(0);
  queue.submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  queue.kick_always();
  ASSERT_TRUE(front->ask_u64(RequestType::kGetFeatures).ok());
  DriverQueue::Completion completion;
  EXPECT_FALSE(queue.poll(completion));
  ASSERT_TRUE(guest.set_log().ok());
  EXPECT_TRUE(queue.wait(completion, 20'000));
  EXPECT_TRUE(guest.marked(queue.slot_address(0) - TestFrontEnd::kGuestBase));
}

TEST(DirtyLog, askedForOfRunningRingsWithoutALog_isRefused) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served);
  LoggedGuest guest(*front);
  EXPECT_FALSE(guest.set_features(true).ok());
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

TEST(DirtyLog, thatDoesNotCoverTheGuest_endsTheConnection) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served);
  LoggedGuest guest(*front);
  ASSERT_TRUE(front->set_log_base({guest.size() / 2, 0}, guest.file()).ok());
  ASSERT_TRUE(guest.set_features(true).ok());
  front->queue(0).submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  front->queue(0).kick();
  EXPECT_TRUE(front->wait_for_hang_up());
}

TEST(DirtyLog, ofADiskThatStays_isNotOffered) {
  TestExport served;
  auto front = connect(served);
  LoggedGuest guest(*front);
  EXPECT_FALSE(guest.set_features(true).ok());
  EXPECT_FALSE(guest.set_log().ok());
  EXPECT_TRUE(front->wait_for_hang_up());
}

TEST(DirtyLog, badFile_endsTheConnection) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served);
  LoggedGuest guest(*front);
  EXPECT_FALSE(front->set_log_base({1 << 20, 0}, guest.file()).ok());
  EXPECT_TRUE(front->wait_for_hang_up());
}

TEST(DirtyLog, ringAddressesThatMoveWhileItRuns_areRefused) {
  TestExport served(FakeBlockDevice::Completion::kAtOnce, 4 << 20, migratable());
  auto front = connect(served);
  VringAddress addresses = front->addresses(0);
  addresses.used += 4096;
  EXPECT_FALSE(front->send(RequestType::kSetVringAddr, bytes_of(addresses)).ok());
  EXPECT_EQ(front->flush(), VIRTIO_BLK_S_OK);
}

// The size of the disk.

struct Channel {
  Channel() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    own.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  Status give_to(TestFrontEnd& front) const {
    const int fd = theirs.get();
    return front.send(RequestType::kSetBackendReqFd, {}, {&fd, 1});
  }
  UniqueFd own, theirs;
};

TEST(Resize, frontEndThatListens_isToldAndReadsTheNewSize) {
  TestExport served;
  auto front = connect(served);
  const Channel channel;
  ASSERT_TRUE(channel.give_to(*front).ok());
  served.on_loop([&] {
    served.device().resize(8 << 20);
    served.exported().size_changed();
  });
  Header header;
  ASSERT_EQ(::recv(channel.own.get(), &header, sizeof header, MSG_WAITALL),
            static_cast<ssize_t>(sizeof header));
  EXPECT_EQ(header.request, static_cast<std::uint32_t>(BackendRequestType::kConfigChange));
  EXPECT_EQ(header.flags, kVersion);
  EXPECT_EQ(header.size, 0u);
  ASSERT_TRUE(front->fetch_config().ok());
  EXPECT_EQ(front->config().capacity, (8u << 20) / 512);
  std::vector<std::byte> page(4096, std::byte{7}), back(4096);
  EXPECT_EQ(front->write((8 << 20) - 4096, page), VIRTIO_BLK_S_OK);
  EXPECT_EQ(front->read((8 << 20) - 4096, back), VIRTIO_BLK_S_OK);
  EXPECT_EQ(page, back);
}

TEST(Resize, frontEndThatDoesNotListenOrRead_isHeldToTheNewSize) {
  TestExport served;
  auto front = connect(served);
  const auto resize = [&](std::uint64_t bytes) {
    served.on_loop([&] {
      served.device().resize(bytes);
      served.exported().size_changed();
    });
  };
  std::vector<std::byte> page(4096);
  resize(1 << 20);
  EXPECT_EQ(front->read(1 << 20, page), VIRTIO_BLK_S_IOERR);
  const Channel channel;
  ASSERT_TRUE(channel.give_to(*front).ok());
  for (unsigned i = 0; i < 100'000; i += 1'000) {
    served.on_loop([&] {
      for (unsigned j = 0; j < 1'000; ++j) {
        served.exported().size_changed();
      }
    });
  }
  resize(2 << 20);
  EXPECT_EQ(front->read(1 << 20, page), VIRTIO_BLK_S_OK);
  front.reset();
  resize(4 << 20);  // nobody there at all
  EXPECT_EQ(connect(served)->config().capacity, (4u << 20) / 512);
}

TEST(Resize, channelsThatAreNone_areRefused) {
  TestExport served;
  auto front = connect(served);
  const auto give = [&](int fd) {
    return front->send(RequestType::kSetBackendReqFd, {}, {&fd, 1}).ok();
  };
  EXPECT_FALSE(give(front->memory_fd()));
  EXPECT_FALSE(front->send(RequestType::kSetBackendReqFd, {}).ok());
  EXPECT_FALSE(give(front->socket()));  // it would live as long as the back end holds it
  front.reset();
  EXPECT_EQ(connect(served)->flush(), VIRTIO_BLK_S_OK);
}

}  // namespace
}  // namespace fallow::vhost_user
