#include "cli/recording.h"

#include <gtest/gtest.h>

namespace fallow::cli {
namespace {

TEST(RecordWarnings, SayEachThingThatIsLackingOnALine) {
  EXPECT_EQ(record_warnings({.operations = 5}), "");
  EXPECT_EQ(record_warnings({.operations = 5, .full = true}),
            "fallow: warning: the recording ended by itself at 5 operations, as a longer one is "
            "not replayed\n");
  EXPECT_EQ(record_warnings({.operations = 5, .missing = 6}),
            "fallow: warning: 6 operations are missing, as they came faster than they could be "
            "written: a replay will be off\n");
}

}  // namespace
}  // namespace fallow::cli
