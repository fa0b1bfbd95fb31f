#include "vmm_pager/state_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/temp_dir.h"
#include "base/units.h"

namespace fallow::vmm_pager {
namespace {

using pager::Page;
using pager::PageState;
using pager::Place;

constexpr std::uint64_t kBytes = 64 * kPageSize;

class StateFileTest : public testing::Test {
 protected:
  std::unique_ptr<StateFile> open() {
    auto state = StateFile::open(path_);
    EXPECT_TRUE(state.ok()) << state.error().text;
    return state ? std::move(*state) : nullptr;
  }
  std::unique_ptr<StateFile> open_with_guest() {
    auto state = open();
    state->set_secret({{3, 4}});
    EXPECT_TRUE(state->begin(guest_, {1, 2, 0}).ok());
    return state;
  }
  const TempDir dir_;
  const std::string path_ = dir_.path() + "/vm.state";
  const Guest guest_{process_of(::getpid()), {5, 6, kBytes}};
};

TEST_F(StateFileTest, isOfNoGuestAtFirst) {
  EXPECT_FALSE(open()->holds());
  EXPECT_FALSE(open()->holds());
}

TEST_F(StateFileTest, hasForTheNextLifeWhatTheLastOneLeft) {
  {
    auto state = open_with_guest();
    Page& page = state->records(8 * kPageSize, kPageSize)[0];
    page.slot = 9;
    page.state = PageState::kDropping;
    Page& other = state->records(9 * kPageSize, kPageSize)[0];
    other.slot = 3 | pager::kInFile;
    other.state = PageState::kStored;
  }
  auto state = open();
  ASSERT_TRUE(state->holds());
  EXPECT_EQ(state->guest().process, guest_.process);
  EXPECT_EQ(state->guest().memory, guest_.memory);
  EXPECT_EQ(state->secret().words[1], 4u);
  EXPECT_EQ(state->count(Place::kFallow), 1u);
  EXPECT_EQ(state->count(Place::kFile), 1u);
  EXPECT_EQ(state->records(0, kBytes)[8].slot, 9u);
  ASSERT_TRUE(state->clear().ok());
  EXPECT_FALSE(state->holds());
  state.reset();
  state = open();
  EXPECT_FALSE(state->holds());
  EXPECT_EQ(state->secret().words[1], 4u);
  ASSERT_TRUE(state->begin(guest_, {1, 2, 0}).ok());
  EXPECT_EQ(state->count(Place::kFallow), 0u);
}

TEST_F(StateFileTest, isOnePagersAtATime) {
  const auto state = open();
  EXPECT_FALSE(StateFile::open(path_).ok());
}

TEST_F(StateFileTest, refusesWhatIsNotItsOwnOrDamaged) {
  std::ofstream(path_) << "hello";
  EXPECT_FALSE(StateFile::open(path_).ok());
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_FALSE(StateFile::open(path_).ok());
  ASSERT_EQ(::truncate(path_.c_str(), 0), 0);
  {
    auto state = open_with_guest();
    Page& page = state->records(0, kPageSize)[0];
    page.slot = 0x7fffffff;
    page.state = PageState::kStored;
  }
  EXPECT_FALSE(StateFile::open(path_).ok());
  ASSERT_EQ(::truncate(path_.c_str(), 0), 0);
  {
    auto state = open_with_guest();
    Page& page = state->records(0, kPageSize)[0];
    page.slot = pager::kInFile;  // which no page has
    page.state = PageState::kStored;
  }
  EXPECT_FALSE(StateFile::open(path_).ok());
  ASSERT_EQ(::truncate(path_.c_str(), 4096 + 16), 0);
  EXPECT_FALSE(StateFile::open(path_).ok());
}

TEST_F(StateFileTest, knowsAProcessFromALaterOneOfItsNumber) {
  VmmProcess process = process_of(::getpid());
  EXPECT_EQ(process.pid, ::getpid());
  EXPECT_TRUE(may_live(process));
  ++process.started_at;
  EXPECT_FALSE(may_live(process));
  EXPECT_TRUE(may_live({}));
}

}  // namespace
}  // namespace fallow::vmm_pager
