#include "lab/child_process.h"

#include <gtest/gtest.h>

#include "base/temp_dir.h"

namespace fallow::lab {
namespace {

class ChildProcessTest : public testing::Test {
 protected:
  TempDir folder_;
  std::string output_ = folder_.path() + "/output";
};

TEST_F(ChildProcessTest, TellsItsExitCode) {
  auto child = ChildProcess::spawn({"sh", "-c", "exit 7"}, output_);
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child->wait_ms(10'000), 7);
}

TEST_F(ChildProcessTest, KeepsWhatItPrints) {
  ASSERT_TRUE(run_program({"sh", "-c", "echo out; echo err >&2"}, output_, 10'000).ok());
  EXPECT_EQ(read_text_file(output_, 100).value(), "out\nerr\n");
}

TEST_F(ChildProcessTest, SaysWhichProgramIsNotThere) {
  const auto child = ChildProcess::spawn({"no-such-program"}, output_);
  ASSERT_FALSE(child.ok());
  EXPECT_NE(child.error().text.find("no-such-program"), std::string::npos);
}

TEST_F(ChildProcessTest, KillsWhatDoesNotEnd) {
  auto child =
      ChildProcess::spawn({"sh", "-c", "trap '' TERM; echo deaf; exec sleep 1000"}, output_);
  ASSERT_TRUE(child.ok());
  child->end(1);
  EXPECT_TRUE(child->exit_code().has_value());
  EXPECT_GE(*child->exit_code(), 128);
}

TEST_F(ChildProcessTest, FailureCarriesTheOutput) {
  const Status status = run_program({"sh", "-c", "echo what went wrong; exit 1"}, output_, 10'000);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().text.find("what went wrong"), std::string::npos);
}

}  // namespace
}  // namespace fallow::lab
