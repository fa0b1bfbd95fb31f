// `fallow pager` as it runs: a VMM of the test's own hands its memory over, and whatever happens to
// the pager, every word of it is as it was written.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/units.h"
#include "integration/vmm.h"

namespace fallow::test {
namespace {

using nlohmann::json;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kBytes = 32 * kMiB;
constexpr std::size_t kRam = 8 * kMiB;
constexpr std::size_t kWords = kPageSize / 8;
constexpr std::size_t kPages = kBytes / kPageSize;

std::uint64_t word_of(std::size_t i) {
  return i * 0x9e3779b97f4a7c15 + 1;
}

void fill(volatile std::uint64_t* words, std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; ++i) {
    words[i] = word_of(i);
  }
}

void check(volatile std::uint64_t* words, std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; ++i) {
    ASSERT_EQ(words[i], word_of(i)) << "page " << i / kWords << " word " << i % kWords;
  }
}

// Writes and reads at random beside a model, until it is told to end.
class Worker {
 public:
  Worker(const Vmm& vmm, std::size_t first_page, std::size_t pages, unsigned seed)
      : thread_([this, words = vmm.words() + first_page * kWords, pages, seed] {
          std::mt19937_64 random(seed);
          std::vector<std::uint64_t> model(pages, 0);
          while (!ends_) {
            const std::size_t page = random() % pages;
            volatile std::uint64_t* at = words + page * kWords;
            wrong_ +=
                at[page % kWords] != model[page] || at[(page + 1) % kWords] != model[page] * 3;
            if (random() % 2 == 0) {
              model[page] = random();
              at[page % kWords] = model[page];
              at[(page + 1) % kWords] = model[page] * 3;
            }
            ++steps_;
          }
          for (std::size_t page = 0; page < pages; ++page) {
            wrong_ += words[page * kWords + page % kWords] != model[page];
          }
        }) {}
  ~Worker() { end(); }
  std::uint64_t end() {
    ends_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
    return wrong_;
  }
  void wait_steps(std::uint64_t more) const {
    for (const std::uint64_t until = steps_ + more; steps_ < until;) {
      ::usleep(1000);
    }
  }

 private:
  std::atomic<bool> ends_{false};
  std::atomic<std::uint64_t> wrong_{0};
  std::atomic<std::uint64_t> steps_{0};
  std::thread thread_;
};

class VmmPager : public testing::Test {
 protected:
  static std::vector<std::string> with_file() { return {"--ram", "8M", "--no-daemon"}; }
  static std::vector<std::string> with(const Daemon& daemon) {
    return {"--ram", "8M", "--vm", "guest", "--ring", daemon.folder() + "/run/ring.sock"};
  }
  // Gives a part of the memory back again and again while the rest is in use.
  static void give_back_in_use(
      int rounds, unsigned seed,
      const std::function<void(std::byte* memory, std::size_t bytes)>& give_back) {
    Vmm vmm(kBytes);
    PagerProcess pager(vmm.path(), with_file());
    ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
    const std::size_t balloon = kBytes / 4;
    Worker worker(vmm, balloon / kPageSize, (kBytes - balloon) / kPageSize, seed);
    for (int round = 0; round < rounds; ++round) {
      fill(vmm.words(), 0, balloon / 8);
      give_back(vmm.memory(), balloon);
      for (std::size_t i = 0; i < balloon / 8; i += kWords / 2) {
        ASSERT_EQ(vmm.words()[i], 0u) << "round " << round << " page " << i / kWords;
      }
    }
    EXPECT_EQ(worker.end(), 0u) << pager.log();
  }
  // Kills the pager again and again while the memory is in use.
  static void kill_all_the_while(
      const std::vector<std::string>& more, int rounds,
      const std::function<void(int round)>& before = [](int) {}) {
    Vmm vmm(kBytes);
    PagerProcess pager(vmm.path(), more);
    ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
    std::mt19937 random(1);
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < 4; ++i) {
      workers.push_back(std::make_unique<Worker>(vmm, i * kPages / 4, kPages / 4, i));
    }
    for (int round = 0; round < rounds; ++round) {
      before(round);
      workers[0]->wait_steps(1000);
      ::usleep(static_cast<useconds_t>(random() % 100'000));
      pager.end(round % 5 == 4 ? SIGTERM : SIGKILL);
      EXPECT_LE(vmm.bytes_in_ram(), kRam + kMiB);
      pager.start();
      ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
    }
    for (auto& worker : workers) {
      EXPECT_EQ(worker->end(), 0u) << pager.log();
    }
  }
};

TEST_F(VmmPager, keepsWhatIsWrittenUnderAQuarterOfItsRam) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  Vmm vmm(kBytes);
  PagerProcess pager(vmm.path(), with(daemon));
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  for (std::size_t part = 0; part < 8; ++part) {
    fill(vmm.words(), part * kBytes / 64, (part + 1) * kBytes / 64);
    EXPECT_LE(vmm.bytes_in_ram(), kRam);
  }
  const auto clients =
      nlohmann::json::parse(daemon.fallow({"client", "list", "--json"}).out).at("clients");
  ASSERT_EQ(clients.size(), 1u);
  EXPECT_EQ(clients[0].at("name"), "guest");
  EXPECT_GE(clients[0].at("used"), (kBytes - kRam) / kPageSize);
  check(vmm.words(), 0, kBytes / 8);
  EXPECT_LE(vmm.bytes_in_ram(), kRam);
  std::string shown;
  for (int i = 0; i < 1000 && shown.find("ram_limit_pages\":2048") == std::string::npos; ++i) {
    ::usleep(10'000);
    shown = daemon.fallow({"explain", "guest", "--json"}).out;
  }
  EXPECT_NE(shown.find("ram_limit_pages\":2048"), std::string::npos) << shown;
}

TEST_F(VmmPager, findsWhatTheMemoryHadBefore) {
  Vmm vmm(kBytes);
  fill(vmm.words(), 0, kBytes / 16);
  // Half of it is in the file, and not mapped.
  ASSERT_EQ(::madvise(vmm.memory(), kBytes / 4, MADV_DONTNEED), 0);
  PagerProcess pager(vmm.path(), with_file());
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  check(vmm.words(), 0, kBytes / 16);
  fill(vmm.words(), kBytes / 16, kBytes / 8);
  check(vmm.words(), 0, kBytes / 8);
  EXPECT_LE(vmm.bytes_in_ram(), kRam);
}

TEST_F(VmmPager, protectsPagesThatAreNotMapped) {
  Vmm vmm(kBytes);
  PagerProcess pager(vmm.path(), with_file());
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  Worker worker(vmm, 0, kPages, 7);
  // Unmapped by somebody who does not tell: in the kernel it is the same as its own reclaim.
  for (int i = 0; i < 200; ++i) {
    worker.wait_steps(20);
    ::syscall(SYS_madvise, vmm.memory(), kBytes, MADV_PAGEOUT);
  }
  EXPECT_EQ(worker.end(), 0u) << pager.log();
}

TEST_F(VmmPager, givesZerosForWhatWasGivenBack) {
  Vmm vmm(kBytes);
  PagerProcess pager(vmm.path(), with_file());
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  fill(vmm.words(), 0, kBytes / 8);
  check(vmm.words(), 0, kBytes / 64);  // some are in RAM and in their slots
  // As a VMM does with a balloon: by MADV_REMOVE, or by a hole and MADV_DONTNEED.
  const std::size_t part = kBytes / 4;
  ASSERT_EQ(::madvise(vmm.memory(), part, MADV_REMOVE), 0);
  ASSERT_EQ(::fallocate(vmm.file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(3 * part), static_cast<off_t>(part)),
            0);
  ASSERT_EQ(::madvise(vmm.memory() + 3 * part, part, MADV_DONTNEED), 0);
  for (const std::size_t from : {std::size_t{0}, 3 * part}) {
    for (std::size_t i = from / 8; i < (from + part) / 8; ++i) {
      ASSERT_EQ(vmm.words()[i], 0u) << i;
    }
  }
  check(vmm.words(), part / 8, 3 * part / 8);
  fill(vmm.words(), 0, kBytes / 8);
  check(vmm.words(), 0, kBytes / 8);
  EXPECT_LE(vmm.bytes_in_ram(), kRam);
}

TEST_F(VmmPager, givesBackWhileItIsInUse) {
  give_back_in_use(10, 5, [](std::byte* memory, std::size_t bytes) {
    ASSERT_EQ(::madvise(memory, bytes, MADV_REMOVE), 0);
  });
}

// As a guest that reports free pages does: many announcements, one close behind the other.
TEST_F(VmmPager, givesBackPageByPageWhileItIsInUse) {
  give_back_in_use(3, 6, [](std::byte* memory, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kPageSize) {
      ASSERT_EQ(::madvise(memory + at, kPageSize, MADV_REMOVE), 0);
    }
  });
}

TEST_F(VmmPager, killedAtAnyMoment_theNextOneGoesOn) {
  kill_all_the_while(with_file(), 15);
}

TEST_F(VmmPager, killedAtAnyMomentWithADaemon_theNextOneGoesOn) {
  Daemon::Options options;
  options.memory = "16M";  // some pages go to the file
  Daemon daemon(options);
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  kill_all_the_while(with(daemon), 15);
}

// Pages are on their way between the daemon and the file all the while.
TEST_F(VmmPager, killedWhileItsTargetGoesUpAndDown_theNextOneGoesOn) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  std::vector<std::string> more = with(daemon);
  more.insert(more.end(), {"--demotion", "20000"});
  kill_all_the_while(more, 15, [&daemon](int round) {
    const std::string policy = round % 2 == 0 ? "no-tmem" : "greedy";
    EXPECT_EQ(daemon.fallow({"policy", "set", policy}).exit_code, 0);
    ::usleep(300'000);  // until the pager has asked
  });
}

TEST_F(VmmPager, followsItsTarget) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  Vmm vmm(kBytes);
  std::vector<std::string> more = with(daemon);
  more.insert(more.end(), {"--demotion", "20000", "--backing-speed", "ssd", "--json"});
  PagerProcess pager(vmm.path(), more);
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  fill(vmm.words(), 0, kBytes / 8);
  const auto held = [&daemon] {
    const json clients = json::parse(daemon.fallow({"client", "list", "--json"}).out);
    return clients["clients"].at(0)["used"].get<std::uint64_t>();
  };
  EXPECT_GT(held(), (kBytes - kRam) / kPageSize / 2);
  ASSERT_EQ(daemon.fallow({"policy", "set", "no-tmem"}).exit_code, 0);
  for (int i = 0; i < 1000 && held() > 0; ++i) {
    ::usleep(20'000);
  }
  EXPECT_EQ(held(), 0u);
  check(vmm.words(), 0, kBytes / 8);
  ASSERT_EQ(daemon.fallow({"policy", "set", "greedy"}).exit_code, 0);
  for (int i = 0; i < 100 && held() < 1000; ++i) {
    check(vmm.words(), 0, kBytes / 8);
  }
  EXPECT_GE(held(), 1000u);
  pager.end(SIGTERM);
  const std::string log = pager.log();
  EXPECT_NE(log.find("\"backing_speed\":\"ssd (emulated)\""), std::string::npos) << log;
  EXPECT_EQ(log.find("\"promotions\":0,"), std::string::npos) << log;
  EXPECT_EQ(log.find("\"demotions\":0,"), std::string::npos) << log;
  EXPECT_NE(log.find("\"demotions\":"), std::string::npos) << log;
}

TEST_F(VmmPager, killedBeforeAVmCame_theNextOneStarts) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  Vmm vmm(kBytes);
  PagerProcess pager(vmm.path(), with(daemon));
  const UniqueFd it_listens = connect_to(pager.socket());
  pager.end(SIGKILL);
  pager.start();
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  fill(vmm.words(), 0, kBytes / 8);
  check(vmm.words(), 0, kBytes / 8);
}

TEST_F(VmmPager, daemonThatHasLostThePages_isNotGoneOnWith) {
  Daemon daemon;
  Daemon other;
  ASSERT_TRUE(daemon.wait_ready() && other.wait_ready());
  Vmm vmm(kBytes);
  PagerProcess pager(vmm.path(), with(daemon));
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  fill(vmm.words(), 0, kBytes / 8);
  pager.end(SIGKILL);
  const Outcome refused = pager.run_once(with(other));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("does not have the"), std::string::npos) << refused.err;
  EXPECT_EQ(pager.run_once(with_file()).exit_code, 1);
  pager.start();
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  check(vmm.words(), 0, kBytes / 8);
}

TEST_F(VmmPager, asksForWhatIsMissing) {
  Vmm vmm(kBytes);
  const TempDir dir;
  const std::vector<std::string> words{bin("fallow"),     "pager", "--socket",
                                       dir.path() + "/s", "--mem", vmm.path()};
  EXPECT_EQ(run(words).exit_code, 2);
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {"--ram", "4K"},
           {"--ram", "x"},
           {"--ram", "8M", "--vm", "/"},
           {"--ram", "8M", "--state", dir.path() + "/missing/s"},
           {"--ram", "8M", "--no-daemon", "--state", dir.path()}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(run(all).exit_code, 2) << more.back();
  }
}

TEST_F(VmmPager, vmmThatMisbehaves_isRefusedAndTheNextIsServed) {
  Vmm vmm(kBytes);
  Vmm other(kBytes);
  PagerProcess pager(vmm.path(), with_file());
  const auto refused = [&pager](const std::string& text, const std::vector<int>& descriptors) {
    const UniqueFd connection = connect_to(pager.socket());
    say(connection.get(), text, descriptors);
    return !answered(connection.get());
  };
  const UniqueFd none(::eventfd(0, EFD_CLOEXEC));
  const std::string good = vmm.handshake();
  EXPECT_TRUE(refused("hello", {vmm.faults()}));
  EXPECT_TRUE(refused("{}", {vmm.faults()}));
  EXPECT_TRUE(refused("[]", {vmm.faults()}));
  EXPECT_TRUE(refused(good, {}));
  EXPECT_TRUE(refused(good, {none.get()}));
  EXPECT_TRUE(refused(good, {vmm.faults(), vmm.faults()}));
  EXPECT_TRUE(refused(std::string(100'000, ' '), {vmm.faults()}));
  EXPECT_TRUE(refused("", {}));                // silence
  EXPECT_TRUE(refused("[{", {vmm.faults()}));  // half a message
  EXPECT_TRUE(refused("[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0}]",
                      {vmm.faults()}));  // nothing is mapped there
  EXPECT_TRUE(refused("[{\"base_host_virt_addr\":4096,\"size\":1073741824,\"offset\":0}]",
                      {vmm.faults()}));  // beyond the file
  ASSERT_TRUE(vmm.hand_over(pager.socket())) << pager.log();
  EXPECT_FALSE(other.hand_over(pager.socket())) << pager.log();
  fill(vmm.words(), 0, kBytes / 8);
  check(vmm.words(), 0, kBytes / 8);
  std::size_t lines = 0;
  const std::string log = pager.log();
  for (std::size_t at = 0; (at = log.find("pager_vmm_refused", at)) != std::string::npos; ++at) {
    ++lines;
  }
  EXPECT_EQ(lines, 12u) << log;
}

TEST_F(VmmPager, endOfTheVm_leavesNothingBehind) {
  Daemon daemon;
  ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
  const TempDir dir("/dev/shm");
  const std::string memory = dir.path() + "/ram";
  PagerProcess pager(memory, with(daemon));
  const pid_t child = ::fork();
  if (child == 0) {
    Vmm vmm(kBytes);
    std::filesystem::create_symlink(vmm.path(), memory);
    const bool taken = vmm.hand_over(pager.socket());
    fill(vmm.words(), 0, kBytes / 8);
    ::_exit(taken ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7) << pager.log();
  EXPECT_EQ(pager.wait(), 0) << pager.log();
  EXPECT_NE(pager.log().find("the VM has ended"), std::string::npos) << pager.log();
  EXPECT_FALSE(std::filesystem::exists(pager.state()));
  EXPECT_FALSE(std::filesystem::exists(pager.state() + ".pages"));
  EXPECT_FALSE(std::filesystem::exists(pager.socket()));
  const auto clients = nlohmann::json::parse(daemon.fallow({"client", "list", "--json"}).out);
  EXPECT_TRUE(clients.at("clients").empty()) << clients;
}

}  // namespace
}  // namespace fallow::test
