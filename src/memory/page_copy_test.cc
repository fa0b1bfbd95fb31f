#include "memory/page_copy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/units.h"

namespace fallow::memory {
namespace {

struct alignas(kPageSize) Page {
  std::byte bytes[kPageSize];
};

TEST(CopyIntoFrame, anySourceAlignment_copiesAllBytesAndTheirChecksum) {
  std::mt19937_64 random(1);
  std::vector<std::byte> source(kPageSize + 64);
  for (auto& byte : source) {
    byte = static_cast<std::byte>(random());
  }
  Page frame;
  for (std::size_t shift = 0; shift < 64; shift += 7) {
    const auto checksum = copy_into_frame(frame.bytes, source.data() + shift);
    EXPECT_EQ(std::memcmp(frame.bytes, source.data() + shift, kPageSize), 0);
    EXPECT_EQ(checksum, page_checksum(frame.bytes));
    Page back;
    copy_from_frame(back.bytes, frame.bytes);
    EXPECT_EQ(std::memcmp(back.bytes, frame.bytes, kPageSize), 0);
  }
}

TEST(RepeatedWord, everySingleDifference_isSeen) {
  Page page;
  fill_page(page.bytes, 0x0123456789abcdef);
  EXPECT_EQ(repeated_word(page.bytes), 0x0123456789abcdefu);
  for (std::size_t at = 0; at < kPageSize; ++at) {
    page.bytes[at] ^= std::byte{1};
    EXPECT_FALSE(repeated_word(page.bytes).has_value()) << at;
    page.bytes[at] ^= std::byte{1};
  }
}

}  // namespace
}  // namespace fallow::memory
