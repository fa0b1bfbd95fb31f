#include "common/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "common/temp_folder.h"

namespace fallow::guests {
namespace {

std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

int exit_code(const std::string& script) {
  auto started = Child::start(shell(script), {});
  return std::get<Child>(started).wait();
}

TEST(FindProgram, LooksInThePathUnlessItIsGivenOne) {
  EXPECT_EQ(find_program("/bin/sh"), "/bin/sh");
  EXPECT_EQ(find_program("sh").substr(find_program("sh").rfind('/')), "/sh");
  EXPECT_EQ(find_program("no-such-program"), "");
  EXPECT_EQ(find_program("/no/such/program"), "");
}

TEST(Child, SaysHowItEnded) {
  EXPECT_EQ(exit_code("exit 0"), 0);
  EXPECT_EQ(exit_code("exit 7"), 7);
  EXPECT_EQ(exit_code("kill -9 $$"), 128 + SIGKILL);
}

TEST(Child, SaysWhyItCannotStart) {
  EXPECT_EQ(std::get<std::string>(Child::start({"/no/such/program"}, {})),
            "cannot start /no/such/program: No such file or directory");
  EXPECT_EQ(std::get<std::string>(Child::start(shell("true"), {"/no/such/folder", -1})),
            "cannot start /bin/sh: No such file or directory");
}

TEST(Child, WorksInItsFolderAndSaysThingsWhereItIsTold) {
  const TempFolder folder("guests_test");
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  auto started = Child::start(shell("pwd -P"), {folder.path(), ends[1]});
  ::close(ends[1]);
  std::array<char, 4096> text{};
  const ssize_t got = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  EXPECT_EQ(std::get<Child>(started).wait(), 0);
  ASSERT_GT(got, 0);
  struct stat one {};
  struct stat two {};
  ASSERT_EQ(::stat(std::string(text.data(), static_cast<std::size_t>(got) - 1).c_str(), &one), 0);
  ASSERT_EQ(::stat(folder.path().c_str(), &two), 0);
  EXPECT_EQ(one.st_ino, two.st_ino);
}

// The pipe is held by all that the child has started: its end is theirs.
TEST(Child, OutOfScopeItEndsWithAllThatItStarted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  pid_t pid = -1;
  char byte = 0;
  {
    auto started = Child::start(shell("sleep 1000 & echo; sleep 1000"), {"", ends[1]});
    ::close(ends[1]);
    pid = std::get<Child>(started).pid();
    ASSERT_EQ(::read(ends[0], &byte, 1), 1);
    EXPECT_FALSE(std::get<Child>(started).ended());
  }
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);
  ::close(ends[0]);
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Child, TellsWhichOfSomeHasEnded) {
  auto one = Child::start(shell("sleep 1000"), {});
  auto two = Child::start(shell("exit 3"), {});
  EXPECT_EQ(Child::next_ended(), std::get<Child>(two).pid());
  EXPECT_TRUE(std::get<Child>(two).ended());
  EXPECT_EQ(std::get<Child>(two).wait(), 3);
}

TEST(Child, NoMoreThanThereIsRoomFor) {
  std::vector<Child> children;
  for (std::size_t i = 0; i < Child::kMost; ++i) {
    children.push_back(std::get<Child>(Child::start(shell("sleep 1000"), {})));
  }
  EXPECT_TRUE(std::holds_alternative<std::string>(Child::start(shell("true"), {})));
  children.clear();
  EXPECT_EQ(exit_code("exit 5"), 5);
}

// In a process of its own, which goes the way out that a workload goes.
TEST(Child, ASignalKillsItAndNoOtherStarts) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    end_children_on_signals();
    auto started = Child::start(shell("kill -TERM $PPID; sleep 1000"), {});
    const bool killed = std::get<Child>(started).wait() == 128 + SIGKILL;
    const bool refused = std::holds_alternative<std::string>(Child::start(shell("true"), {}));
    ::_exit(killed && refused && stop_requested() ? 42 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST(TempFolder, IsRemovedWithAllThatItHolds) {
  std::string path;
  {
    const TempFolder folder("guests_test");
    path = folder.path();
    ASSERT_EQ(::mkdir((path + "/inner").c_str(), 0700), 0);
    std::ofstream(path + "/inner/file") << "text";
    EXPECT_EQ(folder.error(), "");
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace fallow::guests
