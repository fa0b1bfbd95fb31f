#include "recording/file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <random>

#include "base/temp_dir.h"

namespace fallow::recording {
namespace {

using testing::HasSubstr;

NodeNote node() {
  return {
      .started_ns = 7, .frames = 1000, .interval_ns = 100, .policy = "greedy", .version = "1.2.3"};
}

std::vector<Operation> many_operations(std::size_t count) {
  std::mt19937_64 random(1);
  std::vector<Operation> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({.at_ns = i,
                   .object = random() % 3,
                   .index = static_cast<std::uint32_t>(random()),
                   .pool = 9,
                   .client = static_cast<std::uint32_t>(i % 4),
                   .kind = static_cast<Kind>(random() % kKinds),
                   .outcome = static_cast<Outcome>(random() % kOutcomes)});
  }
  return all;
}

const std::vector<ClientNote> kNotes = {{.at_ns = 1, .client = 4, .name = "a", .is_disk = true},
                                        {.at_ns = 2,
                                         .client = 5,
                                         .name = "b",
                                         .quota_min = 1,
                                         .quota_max = 2,
                                         .quota_weight = 3,
                                         .ram_limit_pages = 4,
                                         .resident_pages = 5,
                                         .faults_total = 6,
                                         .evictions_total = 7,
                                         .curve = {{10, 1'000'000}, {20, 5}}}};
const std::vector<Mark> kMarks = {
    {.at_ns = 3, .id = 1, .kind = MarkKind::kBegin, .client = "b"},
    {.at_ns = 4, .id = 2, .kind = MarkKind::kStop, .client = "a", .after = {1}, .delay_ns = 9}};

std::string whole_file(std::size_t operations) {
  return beginning_of(node()) + blocks_of(many_operations(operations)) + blocks_of(kNotes) +
         blocks_of(kMarks) + end_of(3);
}

TEST(RecordingFile, ComesBackAsItWas) {
  const std::string bytes = whole_file(100'000);
  const auto read = parse_recording(bytes);
  ASSERT_TRUE(read.ok()) << read.error().text;
  EXPECT_EQ(read->node, node());
  EXPECT_EQ(read->operations, many_operations(100'000));
  EXPECT_EQ(read->notes, kNotes);
  EXPECT_EQ(read->marks, kMarks);
  EXPECT_EQ(read->missing, 3u);
  EXPECT_TRUE(read->whole);
}

TEST(RecordingFile, OrdersByTime) {
  const std::vector<Operation> late = {{.at_ns = 20}};
  const std::vector<Operation> early = {{.at_ns = 10}};
  const auto read = parse_recording(beginning_of(node()) + blocks_of(late) + blocks_of(early));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->operations.front().at_ns, 10u);
  EXPECT_FALSE(read->whole);
}

TEST(RecordingFile, IsReadUpToTheLastWholeBlockOfWhatIsLeft) {
  const std::string bytes = whole_file(70'000);
  const std::size_t beginning = beginning_of(node()).size();
  for (std::size_t size = beginning; size < bytes.size(); size += 997) {
    const auto read = parse_recording(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(read.ok()) << read.error().text;
    EXPECT_FALSE(read->whole);
    EXPECT_TRUE(read->operations.size() % 32'768 == 0 || read->operations.size() == 70'000);
  }
  const auto read = parse_recording(std::string_view(bytes).substr(0, bytes.size() - 1));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->operations.size(), 70'000u);
  EXPECT_EQ(read->marks, kMarks);
}

TEST(RecordingFile, RefusesWhatIsNone) {
  for (const std::string& garbage :
       {std::string(), std::string("FALLOW"), std::string(4096, 'x')}) {
    const auto read = parse_recording(garbage);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(read.error().text, HasSubstr("no recording"));
  }
  const auto cut = parse_recording(std::string(kMagic));
  ASSERT_FALSE(cut.ok());
  EXPECT_THAT(cut.error().text, HasSubstr("ends within its beginning"));
}

// Every bit counts: a changed one is told, or makes the file one that was cut off.
TEST(RecordingFile, NoticesEveryFlippedBit) {
  const std::string bytes = whole_file(100);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const auto read = parse_recording(flipped);
    if (read.ok()) {
      EXPECT_FALSE(read->whole) << "bit " << bit;
    } else {
      EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
    }
  }
}

TEST(RecordingFile, RefusesWhatNoRecorderWrites) {
  std::vector<Operation> bad = {{.kind = static_cast<Kind>(99)}};
  const auto read = parse_recording(beginning_of(node()) + blocks_of(bad));
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().text, HasSubstr("holds what cannot be"));
  EXPECT_FALSE(parse_recording(std::string(kMagic) + end_of(0)).ok());
  EXPECT_FALSE(parse_recording(beginning_of(node()) + block_of(2, 0, "")).ok());
}

TEST(RecordingFile, NamesTheFileThatItCannotRead) {
  const TempDir folder;
  const std::string path = folder.path() + "/a.trace";
  EXPECT_THAT(read_recording(path).error().text, HasSubstr(path));
  std::ofstream(path) << "nothing";
  EXPECT_THAT(read_recording(path).error().text, HasSubstr(path));
  std::ofstream(path, std::ios::binary) << whole_file(10);
  EXPECT_EQ(read_recording(path)->operations.size(), 10u);
}

}  // namespace
}  // namespace fallow::recording
