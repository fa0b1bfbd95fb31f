#include "device/emulated_disk.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "base/temp_dir.h"
#include "base/units.h"
#include "device/backing_file.h"
#include "device/fake_backing_store.h"

namespace fallow {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

struct Io : BackingIo {
  Io(Kind what, std::uint64_t at, std::byte* from) {
    kind = what;
    offset = at;
    length = kPageSize;
    buffer = from;
    done = [](BackingIo* io, int result) {
      auto* self = static_cast<Io*>(io);
      self->error = result;
      self->then();
    };
  }
  std::function<void()> then = [] {};
  int error = -1;
};

class EmulatedDiskTest : public testing::Test {
 protected:
  explicit EmulatedDiskTest(const char* speed = "latency=2ms,bandwidth=8G") {
    auto below = std::make_unique<FakeBackingStore>(64 * kPageSize);
    below_ = below.get();
    disk_ = *EmulatedDisk::create(std::move(below), *DiskSpeed::parse(speed), clock_);
  }
  ManualClock clock_;
  FakeBackingStore* below_ = nullptr;
  std::unique_ptr<EmulatedDisk> disk_;
  alignas(kPageSize) std::array<std::byte, kPageSize> page_{};
};

TEST_F(EmulatedDiskTest, holdsBackWhatIsDoneBelowUntilItsTime) {
  page_.fill(std::byte{7});
  Io write(BackingIo::Kind::kWrite, kPageSize, page_.data());
  disk_->submit(&write);
  disk_->poll();
  EXPECT_EQ(below_->under_way(), 0u);
  EXPECT_EQ(below_->bytes()[kPageSize], std::byte{7});
  EXPECT_EQ(write.error, -1);
  clock_.advance_ns(2 * kMs - 1);
  disk_->poll();
  EXPECT_EQ(write.error, -1);
  clock_.advance_ns(kMs);
  disk_->poll();
  EXPECT_EQ(write.error, 0);
}

TEST_F(EmulatedDiskTest, waitsForWhatTheStoreBelowHasNotDone) {
  below_->completions_per_poll = 0;
  Io read(BackingIo::Kind::kRead, 0, page_.data());
  disk_->submit(&read);
  clock_.advance_ns(10 * kMs);
  disk_->poll();
  EXPECT_EQ(read.error, -1);
  disk_->wait();
  EXPECT_EQ(read.error, 0);
}

TEST_F(EmulatedDiskTest, waitReturnsWhenOneIsDue) {
  Io first(BackingIo::Kind::kRead, 0, page_.data());
  Io second(BackingIo::Kind::kRead, kPageSize, page_.data());
  disk_->submit(&first);
  clock_.advance_ns(kMs);
  disk_->submit(&second);
  disk_->wait();
  EXPECT_GE(clock_.now_ns(), 2 * kMs);
  EXPECT_EQ(first.error, 0);
  EXPECT_EQ(second.error, -1);
  disk_->wait();
  EXPECT_EQ(second.error, 0);
}

TEST_F(EmulatedDiskTest, tellsOfErrorsAndSyncsNoSoonerThanWrites) {
  below_->fails = [](const BackingIo& io) { return io.kind == BackingIo::Kind::kWrite; };
  Io write(BackingIo::Kind::kWrite, 0, page_.data());
  Io sync(BackingIo::Kind::kSync, 0, nullptr);
  Io punch(BackingIo::Kind::kPunch, 0, nullptr);
  disk_->submit(&write);
  disk_->submit(&sync);
  disk_->submit(&punch);
  disk_->poll();
  EXPECT_EQ(punch.error, 0);
  EXPECT_EQ(sync.error, -1);
  clock_.advance_ns(3 * kMs);
  disk_->poll();
  EXPECT_EQ(write.error, 5);
  EXPECT_EQ(sync.error, 0);
}

TEST_F(EmulatedDiskTest, takesMoreFromWhoeverIsTold) {
  Io second(BackingIo::Kind::kRead, 0, page_.data());
  Io first(BackingIo::Kind::kRead, 0, page_.data());
  first.then = [&] { disk_->submit(&second); };
  disk_->submit(&first);
  disk_->wait();
  disk_->wait();
  EXPECT_EQ(second.error, 0);
  EXPECT_GE(clock_.now_ns(), 4 * kMs);
  std::vector<std::unique_ptr<Io>> many;
  for (unsigned i = 0; i < BackingStore::kDepthMax; ++i) {
    many.push_back(std::make_unique<Io>(BackingIo::Kind::kRead, 0, page_.data()));
    disk_->submit(many.back().get());
  }
  clock_.advance_ns(100 * kMs);
  disk_->poll();
  for (const auto& io : many) {
    EXPECT_EQ(io->error, 0);
  }
}

// With a real clock and file: the event says when there is something to be told.
TEST(EmulatedDiskOnAFileTest, itsEventSaysWhenToPoll) {
  const TempDir dir("/var/tmp");
  const SystemClock clock;
  auto file = BackingFile::open({.path = dir.path() + "/file", .size_bytes = 16 * kPageSize});
  ASSERT_TRUE(file.ok()) << file.error().text;
  auto disk =
      EmulatedDisk::create(std::move(*file), *DiskSpeed::parse("latency=5ms,bandwidth=1G"), clock);
  ASSERT_TRUE(disk.ok());
  alignas(kPageSize) static std::array<std::byte, kPageSize> page;
  Io write(BackingIo::Kind::kWrite, 0, page.data());
  (*disk)->submit(&write);
  for (int events = 0; write.error < 0 && events < 10; ++events) {
    pollfd event{(*disk)->event_fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&event, 1, 60'000), 1);
    (*disk)->poll();
  }
  EXPECT_EQ(write.error, 0);
  pollfd event{(*disk)->event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 0), 0);  // it does not go on asking
}

}  // namespace
}  // namespace fallow
