#include "cli/commands.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "base/temp_dir.h"
#include "cli/evaluation.h"

namespace fallow::cli {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome run_words(const std::vector<std::string>& words, const std::string& input = "") {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  const int code = run(words, {in, out, err});
  return {code, out.str(), err.str()};
}

std::string written(const TempDir& folder, const std::string& text) {
  const std::string path = folder.path() + "/f.toml";
  std::ofstream(path) << text;
  return path;
}

TEST(Run, PolicyEval_printsTargets) {
  const Outcome outcome = run_words(
      {"policy", "eval", "static-alloc"},
      R"({"node":{"total":10},"vms":[{"id":"a","target":0,"used":0,"puts_total":0,"puts_succ":0}]})");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(R"({"vms":[{"id":"a","target":10,)"));
}

TEST(Run, PolicyEvalBadInput_isTwoWithOneLine) {
  for (const char* spec : {"clever", "smart-alloc:P=0", "greedy"}) {
    const Outcome outcome = run_words({"policy", "eval", spec}, "{}");
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, testing::StartsWith("fallow: "));
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1);
  }
}

TEST(Run, PolicyEvalTooMuchInput_isTwo) {
  const Outcome outcome =
      run_words({"policy", "eval", "greedy"}, std::string(kEvaluationBytesMax + 1, ' '));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("larger than"));
}

TEST(Run, PolicyList_needsNoDaemon) {
  const Outcome outcome = run_words({"policy", "list", "--socket", "/nowhere"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("smart-alloc"));
}

TEST(Run, NoDaemon_isThree) {
  const TempDir folder;
  const std::string socket = folder.path() + "/none.sock";
  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"},
                                                {"vm", "list"},
                                                {"vm", "add", "a", "--size", "1G"},
                                                {"policy", "set", "greedy"},
                                                {"quota", "set", "a", "--weight", "5"},
                                                {"quota", "list"},
                                                {"quota", "clear", "a"},
                                                {"explain", "a"},
                                                {"watch", "--count", "1"}}) {
    std::vector<std::string> with_socket = words;
    with_socket.insert(with_socket.end(), {"--socket", socket});
    const Outcome outcome = run_words(with_socket);
    EXPECT_EQ(outcome.code, 3);
    EXPECT_THAT(outcome.err, HasSubstr("none.sock"));
  }
}

TEST(Run, WrongUse_isTwo) {
  EXPECT_EQ(run_words({}).code, 2);
  EXPECT_EQ(run_words({"vm", "add", "a", "--size", "10Q"}).code, 2);
}

TEST(Run, ErrorThatQuotesControlCharacters_isOneLine) {
  const Outcome outcome = run_words({"vm", "show", "a\n\x1b[2Jb"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err.find_first_of("\n\x1b"), outcome.err.size() - 1);
}

TEST(Run, Help_isZero) {
  EXPECT_EQ(run_words({"--help"}).code, 0);
}

TEST(Run, ConfigCheckGood_isZero) {
  const TempDir folder;
  const std::string path = written(folder, "[node]\nmemory = \"1G\"\n");
  EXPECT_EQ(run_words({"config", "check", path}).code, 0);
  EXPECT_EQ(run_words({"config", "check", path, "--json"}).out, "{\"valid\":true,\"errors\":[]}\n");
}

TEST(Run, ConfigCheckBad_isTwoWithEveryError) {
  const TempDir folder;
  const std::string path = written(folder, "[node]\nmemory = \"-1\"\nx = 1\n");
  const Outcome outcome = run_words({"config", "check", path});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr(path + ":2: memory"));
  EXPECT_THAT(outcome.err, HasSubstr(path + ":3: unknown key 'x'"));
  EXPECT_THAT(run_words({"--json", "config", "check", path}).out, HasSubstr("\"line\":2"));
}

TEST(Run, ConfigCheckMissing_isTwo) {
  EXPECT_EQ(run_words({"config", "check", "/nowhere"}).code, 2);
}

TEST(ExitCodeOf, Codes) {
  EXPECT_EQ(exit_code_of(failed("")), 1);
  EXPECT_EQ(exit_code_of(invalid("")), 2);
  EXPECT_EQ(exit_code_of({ErrorCode::kUnreachable, ""}), 3);
  EXPECT_EQ(exit_code_of({ErrorCode::kNotFound, ""}), 1);
}

}  // namespace
}  // namespace fallow::cli
