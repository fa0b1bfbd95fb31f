#include "lab/plots.h"

#include <gmock/gmock.h>

#include "base/temp_dir.h"
#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Plots, TimesHaveARowForEachSizeAndAColumnForEachPolicy) {
  const Plot plot = time_plot(test_record(), 2);
  EXPECT_THAT(plot.title, HasSubstr("vm3"));
  EXPECT_THAT(plot.script, HasSubstr("\"32 MiB\" 0.100\n\"64 MiB\" 2.000\n"));
}

TEST(Plots, FramesShowUseTargetAndTheThirdsShare) {
  const LabRecord record = test_record();
  const Plot plot = frames_plot(record, record.policies[0]);
  EXPECT_THAT(plot.script, HasSubstr("10.000 900 1000\n"));
  EXPECT_THAT(plot.script, HasSubstr("1000.0 with lines"));
}

TEST(Plots, GnuplotDrawsBoth) {
  const TempDir folder;
  const LabRecord record = test_record();
  for (const Plot& plot : {time_plot(record, 0), frames_plot(record, record.policies[0])}) {
    const auto svg = render(plot, folder.path());
    ASSERT_TRUE(svg.ok()) << svg.error().text;
    EXPECT_THAT(*svg, StartsWith("<svg"));
    EXPECT_THAT(*svg, HasSubstr("smart-alloc:P=2,threshold=64"));
  }
}

TEST(Plots, AQuoteInANameStaysText) {
  LabRecord record = test_record();
  record.policies[0].spec = "it's";
  EXPECT_THAT(time_plot(record, 0).script, HasSubstr("'it''s'"));
}

}  // namespace
}  // namespace fallow::lab
