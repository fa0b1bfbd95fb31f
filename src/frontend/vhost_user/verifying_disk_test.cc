#include "frontend/vhost_user/verifying_disk.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "base/log.h"
#include "frontend/vhost_user/test_export.h"

namespace fallow::vhost_user {
namespace {

using Options = VerifyingDisk::Options;

std::unique_ptr<VerifyingDisk> open(const Options& options) {
  auto disk = VerifyingDisk::open(options);
  if (!disk) {
    ADD_FAILURE() << disk.error().text;
    return nullptr;
  }
  return std::move(*disk);
}

void expect_ok(const Status& status) {
  EXPECT_TRUE(status.ok()) << status.error().text;
}

TEST(VerifyingDisk, goodDisk_isFoundGood) {
  TestExport served(FakeBlockDevice::Completion::kOutOfOrder);
  const auto disk = open({.socket_path = served.path(), .pages = 256, .queues = 2});
  ASSERT_NE(disk, nullptr);
  expect_ok(disk->run(20'000));
  expect_ok(disk->verify_all());
  EXPECT_EQ(disk->reconnections(), 0u);
}

TEST(VerifyingDisk, badDisk_isFoundBad) {
  TestExport served;
  const auto disk = open({.socket_path = served.path(), .pages = 64});
  ASSERT_NE(disk, nullptr);
  expect_ok(disk->run(1'000));
  expect_ok(disk->verify_all());
  served.on_loop([&] { served.device().bytes()[17 * 4096 + 4000] ^= std::byte{1}; });
  const Status verified = disk->verify_all();
  ASSERT_FALSE(verified.ok());
  EXPECT_NE(verified.error().text.find("page 17"), std::string::npos) << verified.error().text;
}

TEST(VerifyingDisk, failingDevice_isToldUnlessAllowed) {
  TestExport served;
  auto disk = open({.socket_path = served.path(), .pages = 64});
  ASSERT_NE(disk, nullptr);
  served.device().set_failing(true);
  EXPECT_FALSE(disk->run(100).ok());
  disk = nullptr;
  disk =
      open({.socket_path = served.path(), .pages = 64, .errors = VerifyingDisk::Errors::kAllowed});
  ASSERT_NE(disk, nullptr);
  expect_ok(disk->run(100));
  EXPECT_GE(disk->errors(), 100u);
  served.device().set_failing(false);
  expect_ok(disk->run(1'000));
  expect_ok(disk->verify_all());
}

// The back end lives, the connection goes: what was in flight is served again.
TEST(VerifyingDisk, connectionsThatBreak_loseNothing) {
  TestExport served(FakeBlockDevice::Completion::kOutOfOrder);
  const auto disk = open({.socket_path = served.path(), .pages = 128, .queues = 3});
  ASSERT_NE(disk, nullptr);
  for (unsigned round = 0; round < 30; ++round) {
    expect_ok(disk->run(500 + 37 * round));
    ::shutdown(disk->front_end().socket(), SHUT_RDWR);
  }
  expect_ok(disk->verify_all());
  EXPECT_GE(disk->reconnections(), 29u);
}

// A back end in a process of its own that dies at any moment, over and over, while its disk lives
// on in memory that it shares with its next life.
class MortalBackEnd {
 public:
  MortalBackEnd() : disk_(::memfd_create("disk", MFD_CLOEXEC)) {
    CHECK(::ftruncate(disk_.get(), kBytes) == 0);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      supervise();
    }
  }
  ~MortalBackEnd() {
    ::kill(supervisor_, SIGKILL);
    ::waitpid(supervisor_, nullptr, 0);
  }
  [[nodiscard]] std::string path() const { return dir_.path() + "/disk.sock"; }

 private:
  static constexpr std::size_t kBytes = 1 << 20;

  [[noreturn]] void supervise() {
    std::mt19937 random(11);
    for (unsigned lives = 0;; ++lives) {
      // Longer and longer ones, so that some of them come to work on the busiest of machines.
      const auto life_us = static_cast<int>(500 + random() % (20'000 + 300 * lives));
      const pid_t worker = ::fork();
      if (worker == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(lives == 0, life_us);
      }
      ::waitpid(worker, nullptr, 0);
    }
  }

  // Nobody catches SIGALRM: the process ends on the spot.
  [[noreturn]] void serve(bool first, int life_us) {
    set_log_level(LogLevel::kError);
    auto mapping = Mapping::map_shared(disk_.get(), 0, kBytes);
    auto loop = EventLoop::create();
    CHECK(mapping.ok() && loop.ok());
    FakeBlockDevice device({mapping->data(), kBytes}, FakeBlockDevice::Completion::kOutOfOrder);
    ExportOptions options;
    options.socket_path = path();
    options.recovered = !first;
    auto exported = VhostUserBlk::create(**loop, device, options);
    CHECK(exported.ok());
    const itimerval life{{0, 0}, {0, life_us}};
    ::setitimer(ITIMER_REAL, &life, nullptr);
    for (;;) {
      (*loop)->run_once(-1);
    }
  }

  TempDir dir_;
  UniqueFd disk_;
  pid_t supervisor_;
};

std::unique_ptr<VerifyingDisk> open_mortal(const Options& options) {
  for (;;) {  // the first lives may end before they have answered
    auto disk = VerifyingDisk::open(options);
    if (disk) {
      return std::move(*disk);
    }
    ::poll(nullptr, 0, 1);
  }
}

TEST(VerifyingDisk, backEndThatDiesOverAndOver_losesAndDoublesNothing) {
  const MortalBackEnd served;
  // Its disk is copied into by an ordinary memcpy, which a death can cut in two.
  const auto disk = open_mortal({.socket_path = served.path(),
                                 .pages = 256,
                                 .queues = 2,
                                 .depth = 64,
                                 .tearing = VerifyingDisk::Tearing::kAllowed});
  while (disk->reconnections() < 60) {
    const Status ran = disk->run(200);
    ASSERT_TRUE(ran.ok()) << ran.error().text;
  }
  expect_ok(disk->verify_all());
  EXPECT_GT(disk->operations(), 1'000u);
}

}  // namespace
}  // namespace fallow::vhost_user
