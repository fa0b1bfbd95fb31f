#include "lab/workload_line.h"

#include <gtest/gtest.h>

namespace fallow::lab {
namespace {

TEST(GuestLine, ReadsTheAgentsAnswers) {
  EXPECT_EQ(parse_guest_line("= ready").kind, LineKind::kReady);
  EXPECT_EQ(parse_guest_line("= ok \r").kind, LineKind::kOk);
  EXPECT_EQ(parse_guest_line("= ok pswpin=1").text, "pswpin=1");
  EXPECT_EQ(parse_guest_line("= failed no such command: x").text, "no such command: x");
  const GuestLine exited = parse_guest_line("= exited 143");
  EXPECT_EQ(exited.kind, LineKind::kExited);
  EXPECT_EQ(exited.number, 143U);
}

TEST(GuestLine, ReadsTheWorkloadsSteps) {
  const GuestLine attempt = parse_guest_line("| attempt 33554432");
  EXPECT_EQ(attempt.kind, LineKind::kAttempt);
  EXPECT_EQ(attempt.number, 33554432U);
  const GuestLine step = parse_guest_line("| step 33554432 98");
  EXPECT_EQ(step.kind, LineKind::kStep);
  EXPECT_EQ(step.number, 33554432U);
  EXPECT_EQ(step.milliseconds, 98U);
  EXPECT_EQ(step.text, "");
  EXPECT_EQ(parse_guest_line("| step 33554432 98 user 71.4").text, "user 71.4");
  EXPECT_EQ(parse_guest_line("| error page 3 word 0").text, "page 3 word 0");
}

TEST(GuestLine, TakesNothingForWhatItIsNot) {
  for (const char* line :
       {"", "=", "|", "= ", "| ", "= exited", "= exited x", "| step 1", "| step", "| step x 1",
        "| attempt -1", "attempt 5", "step 1 2", "= attempt 5", "| exited 0", "noise | step 1 2"}) {
    EXPECT_EQ(parse_guest_line(line).kind, LineKind::kOther) << line;
  }
}

TEST(GuestMemory, ReadsAllFieldsInAnyOrder) {
  const auto memory = parse_guest_memory(
      "total=3 pswpin=1 pswpout=2 available=4 swap_free=6 swap_total=5 new_field=7");
  ASSERT_TRUE(memory.has_value());
  EXPECT_EQ(memory->pages_in, 1U);
  EXPECT_EQ(memory->pages_out, 2U);
  EXPECT_EQ(memory->total_bytes, 3U);
  EXPECT_EQ(memory->available_bytes, 4U);
  EXPECT_EQ(memory->swap_total_bytes, 5U);
  EXPECT_EQ(memory->swap_free_bytes, 6U);
}

TEST(GuestMemory, RefusesWhatLacksAField) {
  EXPECT_FALSE(parse_guest_memory("").has_value());
  EXPECT_FALSE(parse_guest_memory("pswpin=1 pswpout=2 total=3").has_value());
}

TEST(GuestLine, PhasesHaveANameAndAnEndItsFigures) {
  const GuestLine phase = parse_guest_line("| phase build 267 copies 36");
  EXPECT_EQ(phase.kind, LineKind::kPhase);
  EXPECT_EQ(phase.name, "build");
  EXPECT_EQ(phase.milliseconds, 267U);
  EXPECT_EQ(phase.text, "copies 36");
  EXPECT_EQ(parse_guest_line("| phase build soon").kind, LineKind::kOther);
  const GuestLine done = parse_guest_line("| done checksum 00ff copies 2");
  EXPECT_EQ(done.kind, LineKind::kDone);
  EXPECT_EQ(done.text, "checksum 00ff copies 2");
}

}  // namespace
}  // namespace fallow::lab
