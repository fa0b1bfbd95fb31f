#include "frontend/vhost_user/dirty_log.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

namespace fallow::vhost_user {
namespace {

// A log of 300 bytes, 2400 pages, that begins at the file's second page.
class DirtyLogTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 300;

  DirtyLogTest() : file_(::memfd_create("log", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(file_.get(), 4096 + kBytes), 0);
    EXPECT_TRUE(log_.map(file_.get(), 4096, kBytes).ok());
  }
  [[nodiscard]] std::vector<std::uint64_t> marked() const {
    std::uint8_t bytes[kBytes] = {};
    EXPECT_EQ(::pread(file_.get(), bytes, kBytes, 4096), static_cast<ssize_t>(kBytes));
    std::vector<std::uint64_t> pages;
    for (std::uint64_t page = 0; page < kBytes * 8; ++page) {
      if ((bytes[page / 8] >> page % 8 & 1) != 0) {
        pages.push_back(page);
      }
    }
    return pages;
  }
  using Pages = std::vector<std::uint64_t>;

  UniqueFd file_;
  DirtyLog log_;
};

TEST_F(DirtyLogTest, mark_coversEveryPageThatTheRangeTouches) {
  log_.mark(0, 1);
  log_.mark(3 * 4096 - 1, 2);
  log_.mark(20 * 4096, 4096);
  log_.mark(30 * 4096 + 7, 2 * 4096);
  log_.mark(99 * 4096, 0);
  EXPECT_EQ(marked(), (Pages{0, 2, 3, 20, 30, 31, 32}));
  EXPECT_FALSE(log_.broken());
}

TEST_F(DirtyLogTest, mark_keepsWhatWasMarkedBefore) {
  log_.mark(8 * 4096, 1);
  log_.mark(9 * 4096, 1);
  EXPECT_EQ(marked(), (Pages{8, 9}));
}

TEST_F(DirtyLogTest, mark_atTheVeryEnd_fits) {
  log_.mark(2399 * 4096, 4096);
  EXPECT_EQ(marked(), Pages{2399});
  EXPECT_FALSE(log_.broken());
}

TEST_F(DirtyLogTest, mark_pastTheEnd_isNotMissedSilently) {
  log_.mark(2399 * 4096, 4097);
  EXPECT_TRUE(log_.broken());
  EXPECT_EQ(marked(), Pages{});
}

TEST_F(DirtyLogTest, mark_rangeThatWraps_isNotMissedSilently) {
  log_.mark(UINT64_MAX - 10, 100);
  EXPECT_TRUE(log_.broken());
}

TEST_F(DirtyLogTest, mark_withoutALog_isNotMissedSilently) {
  DirtyLog none;
  EXPECT_FALSE(none.broken());
  none.mark(0, 1);
  EXPECT_TRUE(none.broken());
}

TEST_F(DirtyLogTest, fileThatIsCut_breaksTheLog) {
  ASSERT_EQ(::ftruncate(file_.get(), 4096), 0);
  log_.mark(0, 1);
  EXPECT_TRUE(log_.broken());
}

TEST_F(DirtyLogTest, map_badDescriptions_leaveTheLogBefore) {
  EXPECT_FALSE(log_.map(file_.get(), 4096, 2 * 4096).ok());
  EXPECT_FALSE(log_.map(file_.get(), 100, 100).ok());
  EXPECT_FALSE(log_.map(file_.get(), 0, 0).ok());
  EXPECT_FALSE(log_.map(file_.get(), 0, UINT64_MAX).ok());
  log_.mark(4096, 1);
  EXPECT_EQ(marked(), Pages{1});
}

TEST_F(DirtyLogTest, notify_onlyAfterAMark) {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  log_.set_notifier(UniqueFd(::dup(event.get())));
  std::uint64_t count = 0;
  log_.notify();
  EXPECT_LT(::read(event.get(), &count, sizeof count), 0);
  log_.mark(0, 1);
  log_.notify();
  log_.notify();
  EXPECT_EQ(::read(event.get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 1u);
}

}  // namespace
}  // namespace fallow::vhost_user
