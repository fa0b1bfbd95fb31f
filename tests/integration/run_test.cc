// `fallow run`: real programs with a quarter of the memory that they need in RAM do what they do
// with all of it, and what a program does to its memory is carried out as the kernel would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr int kSecondsMost = 240;

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string find(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/bin/"}) {
    if (::access((folder + program).c_str(), X_OK) == 0) {
      return folder + program;
    }
  }
  return "";
}

// Waits up to a minute.
template <typename Condition>
bool wait_until(Condition condition) {
  for (int i = 0; i < 600; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(milliseconds(100));
  }
  return false;
}

class Run : public testing::Test {
 protected:
  Run() : daemon_(options()) {}
  void SetUp() override { ASSERT_TRUE(daemon_.wait_ready()) << daemon_.log(); }

  static Daemon::Options options() {
    Daemon::Options made;
    made.memory = "192M";
    return made;
  }

  [[nodiscard]] std::string ring() const { return daemon_.folder() + "/run/ring.sock"; }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_.path() + "/" + name; }

  [[nodiscard]] std::vector<std::string> command(const std::string& ram,
                                                 const std::vector<std::string>& program,
                                                 std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {bin("fallow"), "run",  "--ram",    ram,
                                      "--ring",      ring(), "--report", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back("--");
    words.insert(words.end(), program.begin(), program.end());
    return words;
  }
  [[nodiscard]] Outcome paged(const std::string& ram, const std::vector<std::string>& program,
                              const std::string& input = "",
                              const std::vector<std::string>& more = {}) const {
    return run(command(ram, program, more), input, kSecondsMost);
  }

  // The same with and without; and that a good part of its memory was away at times.
  void expect_same(const std::string& ram, const std::vector<std::string>& program,
                   const std::string& input = "") {
    const Outcome plain = run(program, input, kSecondsMost);
    ASSERT_EQ(plain.exit_code, 0) << plain.err;
    const Outcome outcome = paged(ram, program, input);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(comparable(outcome.out), comparable(plain.out));
    const json figures = report_of(outcome);
    EXPECT_GT(figures.at("evictions"), 1000) << outcome.err;
    EXPECT_EQ(figures.at("failures"), 0) << outcome.err;
    EXPECT_LE(figures.at("resident_max"), figures.at("ram_limit").get<std::uint64_t>() * 102 / 100)
        << outcome.err;
  }

  // Without what tells the time.
  static std::string comparable(const std::string& out) {
    std::istringstream lines(out);
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("done ")) {
        line = line.substr(0, line.find(" milliseconds"));
      } else if (line.starts_with("phase ") || line.starts_with("step ") ||
                 line.starts_with("attempt ")) {
        continue;
      }
      kept += line + "\n";
    }
    return kept;
  }

  static json report_of(const Outcome& outcome) {
    const std::size_t at = outcome.err.rfind("\n{");
    return json::parse(outcome.err.substr(at == std::string::npos ? 0 : at));
  }

  Daemon daemon_;
  TempDir dir_;
};

// Real data where a folder with it is given: gowalla_edges.csv and movielens_small_ratings.csv.
std::vector<std::string> with_data(std::vector<std::string> words, const std::string& option,
                                   const std::string& name) {
  const char* folder = std::getenv("FALLOW_DATA");
  if (folder != nullptr) {
    words.insert(words.end(), {option, std::string(folder) + "/" + name});
  }
  return words;
}

TEST_F(Run, graphAnalytics) {
  expect_same("16M",
              with_data({bin("dynamic/graph-analytics"), "--megabytes", "64", "--iterations", "4"},
                        "--edges", "gowalla_edges.csv"));
}

TEST_F(Run, inMemoryAnalytics) {
  expect_same("16M", with_data({bin("dynamic/in-memory-analytics"), "--megabytes", "64",
                                "--iterations", "2"},
                               "--ratings", "movielens_small_ratings.csv"));
}

TEST_F(Run, sortWords) {
  expect_same("16M", {bin("dynamic/sort-words"), "--megabytes", "64", "--iterations", "2"});
}

TEST_F(Run, constantMemoryStress) {
  expect_same("16M",
              {bin("dynamic/constant-memory-stress"), "--megabytes", "64", "--iterations", "2"});
  expect_same("16M", {bin("dynamic/constant-memory-stress"), "--megabytes", "64", "--iterations",
                      "2", "--deviation", "20"});
}

TEST_F(Run, sqlAnalytics) {
  expect_same("8M",
              with_data({bin("dynamic/sql-analytics"), "--megabytes", "32", "--iterations", "1"},
                        "--ratings", "movielens_small_ratings.csv"));
}

TEST_F(Run, dataCaching) {
  expect_same("12M", {bin("dynamic/data-caching"), "--megabytes", "48", "--iterations", "1",
                      "--memcached", find("memcached")});
}

TEST_F(Run, kernelBuildLike) {
  // The largest compilation takes some 90 MiB.
  expect_same("24M", {bin("dynamic/kernel-build-like"), "--megabytes", "96", "--units", "2",
                      "--iterations", "1", "--compiler", find("g++")});
}

TEST_F(Run, sort) {
  std::mt19937_64 random(1);
  std::ofstream out(file("lines"));
  for (int i = 0; i < 500'000; ++i) {
    out << random() << "\n";
  }
  out.close();
  // Some 64 MiB of lines and their index.
  expect_same("16M", {find("sort"), "-S", "100M", file("lines")});
}

TEST_F(Run, sqliteBuildsAnIndexInMemory) {
  // Some 14 MiB.
  expect_same("3584K", {find("sqlite3"), ":memory:"},
              "create table t(a integer, b text);\n"
              "with recursive c(x) as (select 1 union all select x+1 from c where x<150000)\n"
              "insert into t select x*7919%400009, printf('%d-%d',x*31%1000,x) from c;\n"
              "create index i on t(b); create index j on t(a);\n"
              "select count(*), sum(a), min(b), max(b) from t;\n"
              "select a, b from t order by b limit 100 offset 75000;\n"
              "pragma integrity_check;\n");
}

TEST_F(Run, compiler) {
  write_file(file("a.cc"),
             "#include <map>\n#include <regex>\n#include <string>\n"
             "bool f(const std::string& s) { return std::regex_match(s, std::regex(\"a*b\")); }\n");
  // The compiler proper takes some 130 MiB.
  expect_same("32M", {find("g++"), "-S", "-o", "-", file("a.cc")});
}

TEST_F(Run, python) {
  write_file(file("a.py"),
             "import hashlib, os\n"
             "a = {i: str(i * 7) * 3 for i in range(300000)}\n"
             "def sum():\n"
             "    h = hashlib.md5()\n"
             "    for i in range(0, 300000, 7): h.update(a[i].encode())\n"
             "    return h.hexdigest()\n"
             "print(sum(), flush=True)\n"
             "pid = os.fork()\n"
             "if pid == 0:\n"
             "    print('child', sum(), flush=True)\n"
             "    os._exit(3)\n"
             "for i in range(300000): a[i] += 'x'\n"
             "print(os.waitpid(pid, 0)[1], sum())\n");
  // Some 56 MiB.
  expect_same("14M", {find("python3"), file("a.py")});
}

class Redis : public Run {
 protected:
  [[nodiscard]] Outcome cli(std::vector<std::string> words) const {
    words.insert(words.begin(), {find("redis-cli"), "-s", file("redis.sock")});
    return run(words, "", kSecondsMost);
  }
  [[nodiscard]] std::string field(const std::string& name) const {
    const std::string all = cli({"info"}).out;
    const std::size_t at = all.find(name + ":");
    return at == std::string::npos
               ? ""
               : all.substr(at + name.size() + 1, all.find('\r', at) - at - name.size() - 1);
  }
};

// A forked process writes everything to a file, while the parent goes on under load.
TEST_F(Redis, servesAndSaves) {
  const std::vector<std::string> server = {find("redis-server"),
                                           "--port",
                                           "0",
                                           "--unixsocket",
                                           file("redis.sock"),
                                           "--dir",
                                           dir_.path(),
                                           "--save",
                                           "",
                                           "--enable-debug-command",
                                           "yes",
                                           "--loglevel",
                                           "warning",
                                           "--appendonly",
                                           "no"};
  // Some 44 MiB.
  Background redis(command("11M", server), file("log"));
  ASSERT_TRUE(wait_until([&] { return cli({"ping"}).out == "PONG\n"; })) << read_file(file("log"));
  ASSERT_EQ(cli({"debug", "populate", "50000", "key", "700"}).out, "OK\n");
  const std::string before = cli({"debug", "digest"}).out;
  EXPECT_THAT(cli({"bgsave"}).out, HasSubstr("started"));
  const Outcome load = run({find("redis-benchmark"), "-s", file("redis.sock"), "-n", "20000", "-q",
                            "-t", "set,get,lpush,lpop", "-r", "5000"},
                           "", kSecondsMost);
  EXPECT_EQ(load.exit_code, 0) << load.err;
  ASSERT_TRUE(wait_until([&] { return field("rdb_bgsave_in_progress") == "0"; }));
  EXPECT_EQ(field("rdb_last_bgsave_status"), "ok");
  EXPECT_EQ(cli({"bgsave"}).exit_code, 0);
  ASSERT_TRUE(wait_until([&] { return field("rdb_bgsave_in_progress") == "0"; }));
  const std::string after = cli({"debug", "digest"}).out;
  EXPECT_NE(after, before);
  // What the second child saved is what the parent has.
  EXPECT_EQ(cli({"debug", "reload", "nosave"}).out, "OK\n") << read_file(file("log"));
  EXPECT_EQ(cli({"debug", "digest"}).out, after);
  (void)cli({"shutdown", "nosave"});
  ASSERT_TRUE(
      wait_until([&] { return read_file(file("log")).find("exit_code") != std::string::npos; }));
  EXPECT_THAT(read_file(file("log")), HasSubstr("\"exit_code\":0"));
}

// What programs do to their memory (run_subject.cc).
class Subject : public Run, public testing::WithParamInterface<const char*> {};

TEST_P(Subject, isRight) {
  const Outcome outcome = paged("12M", {bin("run_subject"), GetParam(), file("scratch")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Tasks, Subject,
                         testing::Values("replace", "grow", "discard", "lock", "threads", "fork",
                                         "fork-often", "exec", "close", "direct"));

// Where the kernel does not tell of forks, everything is brought in for one.
class WithoutTracing : public Run, public testing::WithParamInterface<const char*> {};

TEST_P(WithoutTracing, isRight) {
  std::vector<std::string> words = {find("setpriv"), "--bounding-set", "-sys_ptrace", "--inh-caps",
                                    "-sys_ptrace"};
  const std::vector<std::string> rest = command("12M", {bin("run_subject"), GetParam()});
  words.insert(words.end(), rest.begin(), rest.end());
  const Outcome outcome = run(words, "", kSecondsMost);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Tasks, WithoutTracing, testing::Values("fork", "fork-often", "threads"));

TEST_F(Run, fullBackingFile_losesThosePagesAlone) {
  const Outcome outcome =
      paged("12M", {bin("run_subject"), "lost"}, "", {"--no-daemon", "--backing-max", "24M"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  // 48 MiB are touched, and 36 can be kept.
  EXPECT_GT(std::stoul(outcome.out.substr(5)), 2800U) << outcome.out;
  EXPECT_LT(std::stoul(outcome.out.substr(5)), 3300U) << outcome.out;
  EXPECT_THAT(outcome.err, HasSubstr("pager_page_refused"));
}

class GoingOn : public Run {
 protected:
  void start(const std::string& ram = "12M") {
    program_ = std::make_unique<Background>(
        command(ram, {bin("run_subject"), "go-on", file("stop")}), file("log"));
    ASSERT_TRUE(more_rounds());
  }
  [[nodiscard]] std::size_t rounds() const {
    const std::string log = read_file(file("log"));
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find("round ", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }
  bool more_rounds() {
    const std::size_t before = rounds();
    return wait_until([&] { return rounds() > before + 1; });
  }
  void expect_good_end() {
    write_file(file("stop"), "");
    ASSERT_TRUE(wait_until([&] {
      return read_file(file("log")).find("exit_code") != std::string::npos;
    })) << read_file(file("log"));
    EXPECT_THAT(read_file(file("log")), HasSubstr("\"exit_code\":0"));
  }
  // The one child of the program.
  [[nodiscard]] pid_t child() const {
    const std::string pid = std::to_string(program_->pid());
    return std::stoi(read_file("/proc/" + pid + "/task/" + pid + "/children"));
  }

  std::unique_ptr<Background> program_;
};

TEST_F(GoingOn, daemonGoesAndComesBack) {
  start();
  daemon_.end(SIGKILL);
  std::this_thread::sleep_for(milliseconds(3000));
  daemon_.start();
  EXPECT_TRUE(more_rounds()) << read_file(file("log"));
  EXPECT_THAT(read_file(file("log")), HasSubstr("pager_daemon_back"));
  expect_good_end();
}

TEST_F(GoingOn, stoppedAndContinued) {
  start();
  const pid_t pid = child();
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  std::this_thread::sleep_for(milliseconds(3000));
  ASSERT_EQ(::kill(pid, SIGCONT), 0);
  EXPECT_TRUE(more_rounds()) << read_file(file("log"));
  expect_good_end();
}

TEST_F(GoingOn, pagerDies_programNeverReadsZeros) {
  start();
  const pid_t pid = child();
  program_->end(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return ::kill(pid, 0) != 0; }));
  EXPECT_THAT(read_file(file("log")), testing::Not(HasSubstr("wrong at byte")));
}

TEST_F(GoingOn, asksItToEnd) {
  start();
  EXPECT_EQ(program_->end(SIGTERM), 128 + SIGTERM);
}

TEST_F(GoingOn, daemonShowsIt) {
  start();
  ASSERT_TRUE(wait_until([&] {
    return daemon_.fallow({"client", "list"}).out.find(" 12 MiB, uses ") != std::string::npos;
  })) << daemon_.fallow({"client", "list"}).out;
  EXPECT_THAT(daemon_.fallow({"client", "list", "--json"}).out, HasSubstr("run-run-subject-"));
  expect_good_end();
}

TEST_F(Run, exitCodeIsThePrograms) {
  EXPECT_EQ(paged("12M", {find("sh"), "-c", "exit 7"}).exit_code, 7);
  EXPECT_EQ(paged("12M", {bin("run_subject"), "signal"}).exit_code, 128 + SIGTERM);
}

// One that has a session of its own, as daemons do.
TEST_F(Run, asksWhatTheProgramLeftBehindToEnd) {
  Background program(command("12M", {find("sh"), "-c", "setsid sleep 1000 & echo left $!"}),
                     file("log"));
  const auto left = [&] {
    const std::string log = read_file(file("log"));
    const std::size_t at = log.find("left ");
    return at == std::string::npos ? 0 : std::atoi(log.c_str() + at + 5);
  };
  const auto parent_of = [](pid_t pid) {
    std::istringstream status(read_file("/proc/" + std::to_string(pid) + "/status"));
    for (std::string word; status >> word;) {
      if (word == "PPid:" && status >> word) {
        return static_cast<pid_t>(std::stoi(word));
      }
    }
    return pid_t{0};
  };
  ASSERT_TRUE(wait_until([&] { return left() > 0 && parent_of(left()) == program.pid(); }))
      << read_file(file("log"));
  EXPECT_EQ(program.end(SIGTERM), 0);
  EXPECT_NE(::kill(left(), 0), 0);
}

TEST_F(Run, wrongUse_oneLineAndCode2) {
  const std::vector<std::vector<std::string>> wrong = {
      command("1K", {find("true")}),
      command("lots", {find("true")}),
      command("0", {find("true")}),
      command("12M", {"/no/such/program"}),
      command("12M", {"no-such-program"}),
      command("12M", {bin("sort-words")}),  // linked statically
      command("12M", {find("true")}, {"--vm", "a/b"}),
      command("12M", {find("true")}, {"--backing", "/no/such/folder/file"}),
      {bin("fallow"), "run", "--ram", "12M"},
      {bin("fallow"), "run", "--", find("true")},
  };
  for (const std::vector<std::string>& words : wrong) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(Run, noDaemon_code3) {
  daemon_.end(SIGTERM);
  const Outcome outcome = paged("12M", {find("true")});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
}

TEST_F(Run, noUserfaultfd_saysWhatIsInTheWay) {
  // Neither root nor in any group: the kernel refuses.
  std::vector<std::string> words = {find("setpriv"), "--reuid", "65534",
                                    "--regid",       "65534",   "--clear-groups"};
  const std::vector<std::string> rest = {bin("fallow"), "run",         "--ram",
                                         "12M",         "--no-daemon", "--backing",
                                         "/dev/shm",    "--",          find("true")};
  words.insert(words.end(), rest.begin(), rest.end());
  const Outcome outcome = run(words);
  if (outcome.exit_code == 0) {
    GTEST_SKIP() << "this kernel lets everybody use userfaultfd";
  }
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("vm.unprivileged_userfaultfd"));
}

}  // namespace
}  // namespace fallow::test
