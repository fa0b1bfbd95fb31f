#include "memory/arena.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temp_dir.h"

namespace fallow::memory {
namespace {

ArenaOptions options_in(const TempDir& dir, std::uint64_t bytes) {
  return {.directory = dir.path(), .name = "t", .bytes = bytes, .node = NodeId(3)};
}

TEST(ArenaOpen, fresh_isEmptyAndLargeEnough) {
  const TempDir dir("/dev/shm");
  const auto arena = Arena::open(options_in(dir, 64 * kPageSize));
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->frames(), 64u);
  EXPECT_EQ(arena->patterns(), 8u);
  EXPECT_EQ(arena->node(), NodeId(3));
  for (std::uint32_t i = 0; i < arena->records(); ++i) {
    EXPECT_EQ(load_state(arena->record(i)), FrameState::kFree);
  }
  EXPECT_EQ(arena->frame(63) - arena->frame(0), 63 * std::ptrdiff_t{kPageSize});
}

TEST(ArenaOpen, whileAnotherHoldsIt_isRefused) {
  const TempDir dir("/dev/shm");
  const auto first = Arena::open(options_in(dir, kPageSize));
  const auto second = Arena::open(options_in(dir, kPageSize));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kExists);
  EXPECT_TRUE(std::filesystem::exists(dir.path() + "/t.frames"));
}

TEST(ArenaOpen, filesOfAKilledLife_raiseTheEpoch) {
  const TempDir dir("/dev/shm");
  const TempDir saved("/dev/shm");
  {
    const auto arena = Arena::open(options_in(dir, kPageSize));
    EXPECT_EQ(arena->epoch(), Epoch(1));
    std::filesystem::copy(dir.path() + "/t.table", saved.path() + "/t.table");
  }
  const auto arena = Arena::open(options_in(saved, kPageSize));
  EXPECT_EQ(arena->epoch(), Epoch(2));
}

TEST(ArenaOpen, damagedTable_isNotBelieved) {
  const TempDir dir("/dev/shm");
  std::ofstream(dir.path() + "/t.table") << std::string(8192, '\xff');
  const auto arena = Arena::open(options_in(dir, kPageSize));
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->epoch(), Epoch(1));
}

TEST(ArenaOpen, badOptions_sayWhat) {
  const TempDir dir("/dev/shm");
  EXPECT_EQ(Arena::open(options_in(dir, 0)).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Arena::open(options_in(dir, 4097)).error().code, ErrorCode::kInvalid);
  ArenaOptions disk = options_in(dir, kPageSize);
  disk.directory = "/proc";
  EXPECT_EQ(Arena::open(disk).error().code, ErrorCode::kInvalid);
  disk.directory = dir.path() + "/missing";
  EXPECT_EQ(Arena::open(disk).error().code, ErrorCode::kInvalid);
}

TEST(ArenaOpen, moreThanThereIs_isAnErrorAndLeavesNothingBehind) {
  const TempDir dir("/dev/shm");
  const auto arena = Arena::open(options_in(dir, std::uint64_t{1} << 43));
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(arena.error().code, ErrorCode::kFailed);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(FrameRecordSeal, everyField_isCovered) {
  FrameRecord record{};
  const auto seal = seal_of(record);
  for (std::size_t at = 0; at < offsetof(FrameRecord, state); ++at) {
    auto* byte = reinterpret_cast<unsigned char*>(&record) + at;
    *byte ^= 0x10;
    EXPECT_NE(seal_of(record), seal) << at;
    *byte ^= 0x10;
  }
  EXPECT_TRUE(newer_generation(0, ~0u));
  EXPECT_FALSE(newer_generation(5, 5));
}

}  // namespace
}  // namespace fallow::memory
