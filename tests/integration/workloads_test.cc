// The guests' workloads as programs: what they print and end with, and how much memory they take.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "integration/program.h"
#include "lab/workload_line.h"

namespace fallow::test {
namespace {

constexpr std::uint64_t kMegabytes = 48;

// What the guests lack the programs for is linked dynamically only.
std::string path_of(const std::string& program) {
  return ::access(bin(program).c_str(), X_OK) == 0 ? bin(program) : bin("dynamic/" + program);
}

// A compiler takes more than the others are told to.
std::vector<std::string> build_command(std::vector<std::string> more = {}) {
  more.insert(more.begin(), {path_of("kernel-build-like"), "--megabytes", "96", "--units", "2"});
  return more;
}

std::vector<std::string> command(const std::string& program, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {path_of(program), "--megabytes", std::to_string(kMegabytes)});
  return more;
}

std::string word_after(const std::string& text, const std::string& word) {
  const std::size_t at = text.find(word + " ");
  const std::size_t begin = at == std::string::npos ? text.size() : at + word.size() + 1;
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

// As the lab reads them.
std::size_t count_lines(const std::string& out, lab::LineKind kind) {
  std::size_t count = 0;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    count += lab::parse_guest_line("| " + line).kind == kind ? 1 : 0;
  }
  return count;
}

class Workload : public testing::TestWithParam<const char*> {};

TEST_P(Workload, sameSizeAndSeed_sameChecksum) {
  const Outcome one = run(command(GetParam(), {"--iterations", "2"}));
  const Outcome two = run(command(GetParam(), {"--iterations", "2"}));
  const Outcome other = run(command(GetParam(), {"--iterations", "2", "--seed", "2"}));
  EXPECT_EQ(one.exit_code, 0) << one.out << one.err;
  EXPECT_EQ(two.exit_code, 0) << two.out << two.err;
  EXPECT_EQ(other.exit_code, 0) << other.out << other.err;
  EXPECT_EQ(word_after(one.out, "done checksum").size(), 16U) << one.out;
  EXPECT_EQ(word_after(one.out, "done checksum"), word_after(two.out, "done checksum"));
  EXPECT_NE(word_after(one.out, "done checksum"), word_after(other.out, "done checksum"));
}

TEST_P(Workload, printsWhatTheLabReads) {
  const Outcome outcome = run(command(GetParam(), {"--iterations", "3"}));
  EXPECT_EQ(count_lines(outcome.out, lab::LineKind::kAttempt), 1U) << outcome.out;
  EXPECT_EQ(count_lines(outcome.out, lab::LineKind::kStep), 3U) << outcome.out;
  EXPECT_EQ(count_lines(outcome.out, lab::LineKind::kError), 0U) << outcome.out;
}

TEST_P(Workload, takesTheMemoryThatItWasTold) {
  const std::vector<std::string> arguments = command(GetParam(), {"--iterations", "1"});
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(arguments[0].c_str(), arguments[0].c_str(), arguments[1].c_str(), arguments[2].c_str(),
            arguments[3].c_str(), arguments[4].c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  rusage usage{};
  ASSERT_EQ(::wait4(pid, &status, 0, &usage), pid);
  EXPECT_EQ(status, 0);
  const std::uint64_t megabytes = static_cast<std::uint64_t>(usage.ru_maxrss) >> 10;
  EXPECT_GE(megabytes, kMegabytes * 85 / 100);
  EXPECT_LE(megabytes, kMegabytes * 105 / 100);
}

TEST_P(Workload, wrongUse_oneLineAndCode2) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--megabytes", "0"}, {"--megabytes", "-1"}, {"--megabytes"}, {"--iterations", "0"},
      {"--seed", "x"},      {"--nothing"},         {"32"},          {"--megabytes", "1"}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = run(command(GetParam(), arguments));
    EXPECT_EQ(outcome.exit_code, 2) << arguments.back();
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.err.find(std::string(GetParam()) + ": "), 0U) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_P(Workload, help_saysWhatItDoes) {
  const Outcome outcome = run({path_of(GetParam()), "--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out.find(std::string(GetParam()) + " ["), 0U);
}

INSTANTIATE_TEST_SUITE_P(Guests, Workload,
                         testing::Values("graph-analytics", "in-memory-analytics", "sort-words",
                                         "constant-memory-stress", "sql-analytics",
                                         "data-caching"));

// Those that start others, with what each says when these are at work.
struct Host {
  const char* program;
  const char* at_work;
};

class HostWorkload : public testing::TestWithParam<Host> {
 protected:
  static std::vector<std::string> small(std::vector<std::string> more = {}) {
    const std::string program = GetParam().program;
    return program == "kernel-build-like" ? build_command(more) : command(program, more);
  }
};

TEST_P(HostWorkload, signal_endsInOrderAndLeavesNothingBehind) {
  const TempDir folder;
  const TempDir logs;
  const std::string log = logs.path() + "/log";
  Background workload(small({"--iterations", "1000000"}), log,
                      [&folder] { ::setenv("TMPDIR", folder.path().c_str(), 1); });
  for (int i = 0; i < 600 && read_file(log).find(GetParam().at_work) == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_FALSE(std::filesystem::is_empty(folder.path())) << read_file(log);
  EXPECT_EQ(workload.end(SIGTERM), 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_NE(read_file(log).find("\nerror a signal asked for the end\n"), std::string::npos)
      << read_file(log);
}

TEST_P(HostWorkload, noFolderForItsFiles_oneLineAndCode1) {
  std::vector<std::string> words = {"/usr/bin/env", "TMPDIR=/no/such/folder"};
  const std::vector<std::string> rest = small();
  words.insert(words.end(), rest.begin(), rest.end());
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(count_lines(outcome.out, lab::LineKind::kError), 1U) << outcome.out;
}

INSTANTIATE_TEST_SUITE_P(Host, HostWorkload,
                         testing::Values(Host{"data-caching", "\nstep "},
                                         Host{"kernel-build-like", "\nphase write "}));

TEST(DataCaching, memcachedThatIsNone_error) {
  const Outcome none = run(command("data-caching", {"--memcached", "/no/such/program"}));
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.out, "");
  const Outcome other = run(command("data-caching", {"--memcached", "/bin/false"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(count_lines(other.out, lab::LineKind::kError), 1U) << other.out;
}

TEST(KernelBuildLike, sameSeed_sameChecksumWithAnyNumberOfJobs) {
  const Outcome one = run(build_command({"--iterations", "2"}));
  const Outcome two = run(build_command({"--iterations", "2", "--jobs", "3"}));
  const Outcome other = run(build_command({"--iterations", "2", "--seed", "2"}));
  EXPECT_EQ(one.exit_code, 0) << one.out << one.err;
  EXPECT_EQ(two.exit_code, 0) << two.out << two.err;
  EXPECT_EQ(other.exit_code, 0) << other.out << other.err;
  EXPECT_EQ(word_after(one.out, "done checksum").size(), 16U) << one.out;
  EXPECT_EQ(word_after(one.out, "done checksum"), word_after(two.out, "done checksum"));
  EXPECT_NE(word_after(one.out, "done checksum"), word_after(other.out, "done checksum"));
  EXPECT_EQ(count_lines(one.out, lab::LineKind::kStep), 2U) << one.out;
}

// A compiler that does other than it should: it fails, or each time what it makes is different.
TEST(KernelBuildLike, badCompiler_error) {
  const TempDir folder;
  const std::string compiler = folder.path() + "/compiler";
  for (const auto& [script, error] :
       {std::pair{"exit 3", "error compiling unit_0.cc failed with exit code 3"},
        {"g++ \"$@\" -DTIME=$(date +%N) -g3", "error unit_0.o is other than the first time"}}) {
    std::ofstream(compiler) << "#!/bin/sh\n" << script << "\n";
    ASSERT_EQ(::chmod(compiler.c_str(), 0700), 0);
    const Outcome outcome = run(build_command({"--compiler", compiler}));
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_NE(outcome.out.find(error), std::string::npos) << outcome.out;
  }
}

TEST(KernelBuildLike, wrongUse_oneLineAndCode2) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--megabytes", "48"}, {"--units", "0"},     {"--jobs", "0"},
      {"--jobs", "65"},      {"--jobs", "-1"},     {"--compiler", "/no/such/compiler"},
      {"--compiler"},        {"--iterations", "0"}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = run(build_command(arguments));
    EXPECT_EQ(outcome.exit_code, 2) << arguments.back();
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

// A program with the option for its file, a good file for it, and one that is not.
struct Input {
  const char* program;
  const char* option;
  const char* good;
  const char* bad;
};

constexpr const char* kGoodRatings =
    "userid,movieid,rating,timestamp\n1,10,4.0,5\n2,10,3.5,6\n2,11,1,7\n";
constexpr const char* kBadRatings = "userid,movieid,rating,timestamp\n1,10,40,5\n";

class WorkloadInput : public testing::TestWithParam<Input> {
 protected:
  Outcome run_on(const std::string& content) const {
    const TempDir folder;
    const std::string path = folder.path() + "/input.csv";
    std::ofstream(path) << content;
    return run(command(GetParam().program, {GetParam().option, path, "--iterations", "2"}));
  }
};

TEST_P(WorkloadInput, goodFile_done) {
  const Outcome outcome = run_on(GetParam().good);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_NE(word_after(outcome.out, "copies"), "");
}

TEST_P(WorkloadInput, badFile_oneLineAndCode1) {
  for (const std::string& content : {std::string(GetParam().bad), std::string(),
                                     std::string(100'000, '\0'), std::string(100'000, '\n')}) {
    const Outcome outcome = run_on(content);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
    EXPECT_EQ(count_lines(outcome.out, lab::LineKind::kError), 1U) << outcome.out;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Guests, WorkloadInput,
    testing::Values(Input{"graph-analytics", "--edges", "0,1\n1,2\n2,0\n7,2\n", "0,1\n1,-2\n"},
                    Input{"in-memory-analytics", "--ratings", kGoodRatings, kBadRatings},
                    Input{"sql-analytics", "--ratings", kGoodRatings, kBadRatings}));

}  // namespace
}  // namespace fallow::test
