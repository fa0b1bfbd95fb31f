#include "device/swap_device.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/temp_dir.h"
#include "device/fake_backing_store.h"
#include "memory/page_copy.h"

namespace fallow {
namespace {

constexpr std::uint64_t kDevicePages = 256;
constexpr std::uint64_t kFrames = 64;

class SwapDeviceTest : public testing::Test {
 protected:
  void SetUp() override { start({.size_bytes = kDevicePages * kPageSize}); }

  void start(const DeviceOptions& options) {
    device_.reset();
    store_.reset();
    arena_.reset();
    arena_.emplace(
        std::move(*memory::Arena::open({.directory = dir_.path(),
                                        .name = "t",
                                        .bytes = kFrames * kPageSize,
                                        .compressed_pages_per_frame = 1,
                                        .content = memory::ArenaOptions::Content::kDiscard})));
    store_ = std::move(*tmem::Store::create(*arena_, clock_));
    client_ = *store_->add_client("vm");
    store_->set_target(client_, kFrames);
    auto backing = std::make_unique<FakeBackingStore>(options.size_bytes);
    backing_ = backing.get();
    device_ = std::move(*SwapDevice::create(*store_, client_, clock_, std::move(backing), options));
  }

  struct Waiting : IoRequest {
    std::optional<IoStatus> status;
    iovec segment{};
  };

  void submit(Waiting* request, IoOp op, std::uint64_t offset, std::uint64_t length,
              std::byte* data = nullptr) {
    request->op = op;
    request->offset = offset;
    request->length = length;
    request->segment = {data, length};
    request->segments = {&request->segment, data == nullptr ? 0u : 1u};
    request->status.reset();
    request->done = [](IoRequest* done, IoStatus status) {
      static_cast<Waiting*>(done)->status = status;
    };
    device_->submit(request);
  }

  IoStatus run(IoOp op, std::uint64_t offset, std::uint64_t length, std::byte* data = nullptr) {
    Waiting request;
    submit(&request, op, offset, length, data);
    while (!request.status) {
      device_->poll();
    }
    return *request.status;
  }

  static std::vector<std::byte> pattern(std::uint64_t length, unsigned seed) {
    std::vector<std::byte> bytes(length);
    for (std::uint64_t i = 0; i < length; ++i) {
      bytes[i] = static_cast<std::byte>((i * 31 + i / 251 + seed * 77) & 0xff);
    }
    return bytes;
  }
  IoStatus write(std::uint64_t offset, std::vector<std::byte> bytes) {
    return run(IoOp::kWrite, offset, bytes.size(), bytes.data());
  }
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(length, std::byte{0x55});
    EXPECT_EQ(run(IoOp::kRead, offset, length, bytes.data()), IoStatus::kOk);
    return bytes;
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<tmem::Store> store_;
  ClientId client_;
  FakeBackingStore* backing_ = nullptr;
  std::unique_ptr<SwapDevice> device_;
};

TEST_F(SwapDeviceTest, neverWritten_readsAsZeros) {
  EXPECT_EQ(read(0, 3 * kPageSize), std::vector<std::byte>(3 * kPageSize));
  EXPECT_EQ(device_->statistics().hole_reads, 3u);
}

TEST_F(SwapDeviceTest, write_goesToMemoryWhileThereIsRoom) {
  EXPECT_EQ(write(kPageSize, pattern(4 * kPageSize, 1)), IoStatus::kOk);
  EXPECT_EQ(read(kPageSize, 4 * kPageSize), pattern(4 * kPageSize, 1));
  EXPECT_EQ(device_->statistics().memory_writes, 4u);
  EXPECT_EQ(device_->statistics().backing_writes, 0u);
}

TEST_F(SwapDeviceTest, refusedPages_goToTheBackingStoreInRuns) {
  store_->set_target(client_, 0);
  EXPECT_EQ(write(0, pattern(40 * kPageSize, 2)), IoStatus::kOk);
  EXPECT_EQ(store_->allowance(client_).used, 0u);
  EXPECT_EQ(device_->statistics().backing_writes, 40u);
  EXPECT_EQ(device_->statistics().backing_pages, 40u);
  EXPECT_EQ(read(0, 40 * kPageSize), pattern(40 * kPageSize, 2));
}

TEST_F(SwapDeviceTest, rewrittenPage_isNeverReadInItsOlderVersion) {
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 1));  // backing store
  store_->set_target(client_, kFrames);
  write(0, pattern(kPageSize, 2));  // memory
  EXPECT_EQ(read(0, kPageSize), pattern(kPageSize, 2));
  EXPECT_EQ(device_->statistics().backing_pages, 0u);
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 3));  // backing store again
  EXPECT_EQ(read(0, kPageSize), pattern(kPageSize, 3));
}

TEST_F(SwapDeviceTest, sectors_areReadModifiedAndWritten) {
  for (const std::uint64_t target : {std::uint64_t{0}, kFrames}) {
    store_->set_target(client_, target);
    auto expected = pattern(2 * kPageSize, 4);
    write(0, expected);
    const auto piece = pattern(1536, 5);  // over the border of two pages
    EXPECT_EQ(write(kPageSize - 512, piece), IoStatus::kOk);
    std::copy(piece.begin(), piece.end(), expected.begin() + kPageSize - 512);
    EXPECT_EQ(read(0, 2 * kPageSize), expected);
    EXPECT_EQ(read(512, 1024),
              std::vector<std::byte>(expected.begin() + 512, expected.begin() + 1536));
  }
  write(10 * kPageSize + 512, pattern(512, 6));  // into a hole
  EXPECT_EQ(read(10 * kPageSize, 512), std::vector<std::byte>(512));
  EXPECT_EQ(read(10 * kPageSize + 512, 512), pattern(512, 6));
}

TEST_F(SwapDeviceTest, discard_makesHolesInMemoryAndBackingStore) {
  write(0, pattern(2 * kPageSize, 1));
  store_->set_target(client_, 0);
  write(2 * kPageSize, pattern(2 * kPageSize, 2));
  EXPECT_EQ(run(IoOp::kDiscard, 512, 4 * kPageSize - 1024), IoStatus::kOk);
  EXPECT_EQ(read(kPageSize, 2 * kPageSize), std::vector<std::byte>(2 * kPageSize));
  EXPECT_EQ(store_->allowance(client_).used, 1u);  // page 0 was covered in part only
  EXPECT_EQ(device_->statistics().backing_pages, 1u);
}

TEST_F(SwapDeviceTest, writeZeroes_zeroesExactlyItsRange) {
  auto expected = pattern(4 * kPageSize, 3);
  write(0, expected);
  EXPECT_EQ(run(IoOp::kWriteZeroes, 512, 3 * kPageSize), IoStatus::kOk);
  std::fill(expected.begin() + 512, expected.begin() + 512 + 3 * kPageSize, std::byte{0});
  EXPECT_EQ(read(0, 4 * kPageSize), expected);
}

TEST_F(SwapDeviceTest, wholeDevice_canBeDiscardedAtOnce) {
  store_->set_target(client_, 0);
  write(0, pattern(kDevicePages * kPageSize, 1));
  EXPECT_EQ(run(IoOp::kDiscard, 0, kDevicePages * kPageSize), IoStatus::kOk);
  EXPECT_EQ(device_->statistics().backing_pages, 0u);
}

TEST_F(SwapDeviceTest, WaitForTheBackingStore_countsOnceHoweverManyReadsWait) {
  store_->set_target(client_, 0);
  write(0, pattern(2 * kPageSize, 1));
  std::vector<std::byte> pages(2 * kPageSize);
  Waiting first;
  Waiting second;
  submit(&first, IoOp::kRead, 0, kPageSize, pages.data());
  clock_.advance_ns(1000);
  submit(&second, IoOp::kRead, kPageSize, kPageSize, pages.data() + kPageSize);
  clock_.advance_ns(200);
  backing_->completions_per_poll = 1;
  device_->poll();
  EXPECT_NE(first.status.has_value(), second.status.has_value());
  EXPECT_EQ(device_->statistics().backing_wait_ns, 1200u);  // though another one still waits
  clock_.advance_ns(30);
  device_->poll();
  EXPECT_EQ(device_->statistics().backing_wait_ns, 1230u);
  EXPECT_EQ(device_->statistics().backing_reads, 2u);
}

TEST_F(SwapDeviceTest, failingRead_isAnErrorAndRecovers) {
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 1));
  backing_->fails = [](const BackingIo&) { return true; };
  std::vector<std::byte> bytes(kPageSize);
  EXPECT_EQ(run(IoOp::kRead, 0, kPageSize, bytes.data()), IoStatus::kIoError);
  backing_->fails = [](const BackingIo&) { return false; };
  EXPECT_EQ(read(0, kPageSize), pattern(kPageSize, 1));
}

TEST_F(SwapDeviceTest, failingWrite_leavesAnErrorNeverAnOlderVersion) {
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 1));
  backing_->fails = [](const BackingIo&) { return true; };
  EXPECT_EQ(write(0, pattern(kPageSize, 2)), IoStatus::kIoError);
  backing_->fails = [](const BackingIo&) { return false; };
  std::vector<std::byte> bytes(kPageSize);
  EXPECT_EQ(run(IoOp::kRead, 0, kPageSize, bytes.data()), IoStatus::kIoError);
  EXPECT_EQ(write(0, pattern(512, 3)), IoStatus::kIoError);  // the rest would be unknown
  EXPECT_EQ(device_->statistics().lost_pages, 1u);
  EXPECT_EQ(write(0, pattern(kPageSize, 4)), IoStatus::kOk);
  EXPECT_EQ(read(0, kPageSize), pattern(kPageSize, 4));
  EXPECT_EQ(device_->statistics().lost_pages, 0u);
}

TEST_F(SwapDeviceTest, flush_syncsOnlyWhatTheBackingStoreGot) {
  write(0, pattern(kPageSize, 1));
  Waiting request;
  submit(&request, IoOp::kFlush, 0, 0);
  EXPECT_EQ(request.status, IoStatus::kOk);  // nothing was written there
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 1));
  submit(&request, IoOp::kFlush, 0, 0);
  EXPECT_FALSE(request.status.has_value());
  device_->poll();
  EXPECT_EQ(request.status, IoStatus::kOk);
}

TEST_F(SwapDeviceTest, readBehindAWriteUnderWay_waitsForIt) {
  store_->set_target(client_, 0);
  auto data = pattern(kPageSize, 1);
  Waiting writing;
  submit(&writing, IoOp::kWrite, 0, kPageSize, data.data());
  std::vector<std::byte> bytes(kPageSize);
  Waiting reading;
  submit(&reading, IoOp::kRead, 0, kPageSize, bytes.data());
  EXPECT_FALSE(reading.status.has_value());
  while (!reading.status) {
    device_->poll();
  }
  EXPECT_EQ(bytes, data);
}

// The backing store may read and write a page at the same time, and then half of it is new.
TEST_F(SwapDeviceTest, changeBehindAReadUnderWay_waitsForIt) {
  for (const IoOp op : {IoOp::kWrite, IoOp::kDiscard}) {
    store_->set_target(client_, 0);
    const auto data = pattern(kPageSize, 1);
    write(0, data);
    std::vector<std::byte> bytes(kPageSize);
    Waiting reading;
    submit(&reading, IoOp::kRead, 0, kPageSize, bytes.data());
    auto next = pattern(kPageSize, 2);
    Waiting changing;
    submit(&changing, op, 0, kPageSize, op == IoOp::kWrite ? next.data() : nullptr);
    EXPECT_EQ(backing_->under_way(), 1u);
    while (!changing.status) {
      device_->poll();
    }
    EXPECT_EQ(reading.status, IoStatus::kOk);
    EXPECT_EQ(bytes, data);
    EXPECT_EQ(read(0, kPageSize), op == IoOp::kWrite ? next : std::vector<std::byte>(kPageSize));
  }
}

// Each read begins before the one before it is done.
TEST_F(SwapDeviceTest, changeOfAPageThatIsReadAllTheTime_isDone) {
  store_->set_target(client_, 0);
  write(0, pattern(kPageSize, 1));
  backing_->completions_per_poll = 1;
  auto changed = pattern(kPageSize, 2);
  std::vector<std::byte> bytes[2] = {std::vector<std::byte>(kPageSize),
                                     std::vector<std::byte>(kPageSize)};
  Waiting reads[2];
  Waiting change;
  submit(&reads[0], IoOp::kRead, 0, kPageSize, bytes[0].data());
  submit(&change, IoOp::kWrite, 0, kPageSize, changed.data());
  submit(&reads[1], IoOp::kRead, 0, kPageSize, bytes[1].data());
  for (int i = 0; i < 20 && !change.status; ++i) {
    device_->poll();
    for (int one = 0; one < 2; ++one) {
      if (reads[one].status) {
        submit(&reads[one], IoOp::kRead, 0, kPageSize, bytes[one].data());
      }
    }
  }
  EXPECT_EQ(change.status, IoStatus::kOk);
  while (!reads[0].status || !reads[1].status) {
    device_->poll();
  }
  EXPECT_EQ(read(0, kPageSize), changed);
}

TEST_F(SwapDeviceTest, moreWritesThanTransfers_allComplete) {
  store_->set_target(client_, 0);
  auto data = pattern(kPageSize, 1);
  std::vector<Waiting> requests(100);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    submit(&requests[i], IoOp::kWrite, i * 2 * kPageSize, kPageSize, data.data());
  }
  backing_->completions_per_poll = 3;
  while (device_->in_flight() > 0) {
    device_->poll();
  }
  for (const Waiting& request : requests) {
    EXPECT_EQ(request.status, IoStatus::kOk);
  }
  EXPECT_EQ(device_->statistics().backing_pages, 100u);
}

TEST_F(SwapDeviceTest, demotion_movesTheOldestAtItsRate) {
  start({.size_bytes = kDevicePages * kPageSize, .demotion_pages_per_second = 100});
  const auto data = pattern(20 * kPageSize, 1);
  write(0, data);
  store_->set_target(client_, 4);
  device_->demote();
  EXPECT_EQ(backing_->under_way(), 0u);  // no time has passed
  clock_.advance_ns(50'000'000);
  device_->demote();
  EXPECT_EQ(store_->allowance(client_).used, 20u);  // a page leaves when its copy is safe
  device_->poll();
  EXPECT_EQ(store_->allowance(client_).used, 15u);
  EXPECT_EQ(store_->put({PoolId(0), 0, 0}, data.data()), tmem::PutResult::kNoPool);
  for (int i = 0; i < 100; ++i) {
    clock_.advance_ns(50'000'000);
    device_->demote();
    device_->poll();
  }
  EXPECT_EQ(store_->allowance(client_).used, 4u);
  EXPECT_EQ(read(0, 20 * kPageSize), data);
  EXPECT_EQ(device_->statistics().memory_reads, 4u);  // the four newest stayed
  EXPECT_EQ(device_->statistics().demotions, 16u);
}

TEST_F(SwapDeviceTest, damagedPageToBeDemoted_isLostAndTheOthersGo) {
  start({.size_bytes = kDevicePages * kPageSize, .demotion_pages_per_second = 1000});
  ASSERT_TRUE(store_->set_compression(client_, tmem::Compression::kLz4).ok());
  const auto data = pattern(8 * kPageSize, 1);
  write(0, data);
  const std::uint32_t slots = arena_->frame_records() + arena_->patterns();
  for (std::uint32_t record = slots; record < arena_->records(); ++record) {
    if (arena_->record(record).index == 3 &&
        memory::load_state(arena_->record(record)) == memory::FrameState::kHeld) {
      arena_->slot(memory::slot_place(arena_->record(record)))[10] ^= std::byte{1};
    }
  }
  store_->set_target(client_, 0);
  for (int i = 0; i < 4; ++i) {
    clock_.advance_ns(100'000'000);
    device_->demote();
    device_->poll();
  }
  EXPECT_EQ(store_->allowance(client_).used, 0u);
  EXPECT_EQ(device_->statistics().lost_pages, 1u);
  EXPECT_EQ(device_->statistics().demotions, 7u);
  std::vector<std::byte> page(kPageSize);
  EXPECT_EQ(run(IoOp::kRead, 3 * kPageSize, kPageSize, page.data()), IoStatus::kIoError);
  EXPECT_EQ(read(0, 3 * kPageSize), std::vector(data.begin(), data.begin() + 3 * kPageSize));
  write(3 * kPageSize, std::vector(data.begin(), data.begin() + kPageSize));
  EXPECT_EQ(device_->statistics().lost_pages, 0u);
}

TEST_F(SwapDeviceTest, demotionOff_leavesPagesWhereTheyAre) {
  write(0, pattern(20 * kPageSize, 1));
  store_->set_target(client_, 4);
  clock_.advance_ns(10'000'000'000);
  device_->demote();
  EXPECT_EQ(backing_->under_way(), 0u);
  EXPECT_EQ(store_->allowance(client_).used, 20u);
}

TEST_F(SwapDeviceTest, failingDemotion_keepsThePageInMemory) {
  start({.size_bytes = kDevicePages * kPageSize, .demotion_pages_per_second = 1000});
  const auto data = pattern(8 * kPageSize, 1);
  write(0, data);
  store_->set_target(client_, 1);
  backing_->fails = [](const BackingIo&) { return true; };
  clock_.advance_ns(20'000'000);
  device_->demote();
  device_->poll();
  EXPECT_EQ(store_->allowance(client_).used, 8u);
  EXPECT_EQ(read(0, 8 * kPageSize), data);
}

TEST_F(SwapDeviceTest, pageBeingDemoted_isReadFromMemoryAndWrittenAfterwards) {
  start({.size_bytes = kDevicePages * kPageSize, .demotion_pages_per_second = 1000});
  write(0, pattern(kPageSize, 1));
  store_->set_target(client_, 0);
  clock_.advance_ns(20'000'000);
  device_->demote();
  ASSERT_EQ(backing_->under_way(), 1u);
  std::vector<std::byte> bytes(kPageSize);
  Waiting reading;
  submit(&reading, IoOp::kRead, 0, kPageSize, bytes.data());
  EXPECT_EQ(reading.status, IoStatus::kOk);
  EXPECT_EQ(bytes, pattern(kPageSize, 1));
  auto next = pattern(kPageSize, 2);
  Waiting writing;
  submit(&writing, IoOp::kWrite, 0, kPageSize, next.data());
  EXPECT_FALSE(writing.status.has_value());
  while (!writing.status) {
    device_->poll();
  }
  EXPECT_EQ(read(0, kPageSize), next);
}

TEST_F(SwapDeviceTest, badOptions_areRefused) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{4097}, kDeviceBytesMax + 4096}) {
    const auto device = SwapDevice::create(
        *store_, client_, clock_, std::make_unique<FakeBackingStore>(4096), {.size_bytes = size});
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.error().code, ErrorCode::kInvalid);
  }
}

TEST_F(SwapDeviceTest, Recorder_isToldWhatTheBackingStoreHas) {
  using recording::Kind;
  store_->set_target(client_, 0);
  ASSERT_TRUE(store_->recorder().start());
  ASSERT_EQ(write(3 * kPageSize, pattern(2 * kPageSize, 1)), IoStatus::kOk);
  std::vector<std::byte> back(2 * kPageSize);
  ASSERT_EQ(run(IoOp::kRead, 3 * kPageSize, back.size(), back.data()), IoStatus::kOk);
  ASSERT_EQ(run(IoOp::kDiscard, 3 * kPageSize, kPageSize), IoStatus::kOk);
  std::vector<recording::Operation> taken;
  store_->recorder().take(taken);
  std::vector<std::pair<Kind, std::uint32_t>> seen;
  for (const recording::Operation& one : taken) {
    seen.emplace_back(one.kind, one.index);
  }
  const std::vector<std::pair<Kind, std::uint32_t>> expected = {
      {Kind::kPut, 3}, {Kind::kPut, 4}, {Kind::kRead, 3}, {Kind::kRead, 4}, {Kind::kFlush, 3}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace fallow
