#include "sort_words/records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

namespace fallow::guests {

class RecordsTest : public testing::Test {
 protected:
  static std::vector<Record>& memory(Records& records) { return records.records_; }

  Records records_{5000, 1};
};

namespace {

TEST_F(RecordsTest, SortsByWordAndBackByNumber) {
  EXPECT_EQ(records_.verify(SortKey::kNumber), "");
  const std::uint64_t built = records_.order();
  records_.sort(SortKey::kWord);
  EXPECT_EQ(records_.verify(SortKey::kWord), "");
  EXPECT_NE(records_.order(), built);
  EXPECT_NE(records_.verify(SortKey::kNumber), "");
  records_.sort(SortKey::kNumber);
  EXPECT_EQ(records_.verify(SortKey::kNumber), "");
  EXPECT_EQ(records_.order(), built);
}

TEST_F(RecordsTest, NoticesEachByteThatChanged) {
  for (std::size_t byte = 0; byte < sizeof(Record); ++byte) {
    auto* const bytes = reinterpret_cast<unsigned char*>(&memory(records_)[100]);
    bytes[byte] ^= 1;
    EXPECT_NE(records_.verify(SortKey::kNumber), "") << byte;
    bytes[byte] ^= 1;
  }
  EXPECT_EQ(records_.verify(SortKey::kNumber), "");
}

TEST_F(RecordsTest, NoticesOneInAnothersPlace) {
  std::swap(memory(records_)[7], memory(records_)[8]);
  EXPECT_NE(records_.verify(SortKey::kNumber), "");
}

TEST_F(RecordsTest, NoticesOneThatIsThereTwiceAndOneThatIsMissing) {
  memory(records_)[7] = memory(records_)[8];
  EXPECT_NE(records_.verify(SortKey::kNumber), "");
  memory(records_)[7] = make_record(1, 7);
  memory(records_).back() = make_record(1, 5000);  // whole and in order, but none of ours
  EXPECT_NE(records_.verify(SortKey::kNumber), "");
}

TEST_F(RecordsTest, FewWordsAreFrequentAndMostAreRare) {
  std::map<std::string_view, int> count;
  for (const Record& record : memory(records_)) {
    const std::string_view word(record.word.data(), record.word.size());
    EXPECT_TRUE(std::islower(static_cast<unsigned char>(word[0])));
    ++count[word];
  }
  const auto rare =
      std::count_if(count.begin(), count.end(), [](auto& c) { return c.second == 1; });
  const auto frequent =
      std::count_if(count.begin(), count.end(), [](auto& c) { return c.second >= 10; });
  EXPECT_GT(rare, 1000);
  EXPECT_GT(frequent, 5);
}

}  // namespace
}  // namespace fallow::guests
