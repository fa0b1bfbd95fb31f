#include "base/log.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

TEST(FormatLogLine, plainValues_stayBare) {
  EXPECT_EQ(format_log_line("start", {{"vm", "a"}, {"pages", 12}}), "event=start vm=a pages=12");
}

TEST(FormatLogLine, hostileText_cannotForgeALine) {
  EXPECT_EQ(format_log_line("x y", {{"name", "a\nevent=forged \"q\""}}),
            "event=\"x y\" name=\"a\\x0aevent=forged \\x22q\\x22\"");
}

}  // namespace
}  // namespace fallow
