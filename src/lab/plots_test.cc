#include "lab/plots.h"

#include <gmock/gmock.h>

#include "base/temp_dir.h"
#include "lab/paths.h"
#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Plots, BlocksHaveARowForEachSizeAndAColumnForEachPolicy) {
  RunRecord greedy = test_record("greedy");
  greedy.vms[2].steps.resize(1);
  const auto all = summarize({greedy, test_record("static-alloc")});
  const Plot plot = blocks_plot(all.at(0), 2);
  EXPECT_THAT(plot.title, HasSubstr("vm3"));
  EXPECT_THAT(plot.script, HasSubstr("\"32 MiB\" 0.100 0.100\n\"64 MiB\" ? 2.000\n"));
}

TEST(Plots, FramesShowUseTargetTheEqualShareAndWhoComesLate) {
  const Plot plot = frames_plot(test_record("greedy"));
  EXPECT_THAT(plot.script, HasSubstr("10.000 900 1000\n"));
  EXPECT_THAT(plot.script, HasSubstr("1000.0 with lines"));
  EXPECT_THAT(plot.script, HasSubstr("'vm3 starts' at 4.000"));
  EXPECT_THAT(plot.script, Not(HasSubstr("vm2 starts")));
}

TEST(Plots, TotalsHaveAmpleRamAsALine) {
  const auto all = summarize({test_record(kAmple), test_record("greedy")});
  EXPECT_THAT(totals_plot(all.at(0)).script, HasSubstr("\"greedy\" 26.000 0.000\n"));
  EXPECT_THAT(totals_plot(all.at(0)).script, HasSubstr("26.000 with lines"));
}

TEST(Plots, GnuplotDrawsAll) {
  const TempDir folder;
  const RunRecord record = test_record("smart-alloc:P=2,threshold=64");
  const auto all = summarize({record});
  for (const Plot& plot :
       {totals_plot(all.at(0)), blocks_plot(all.at(0), 0), frames_plot(record)}) {
    const auto svg = render(plot, folder.path());
    ASSERT_TRUE(svg.ok()) << svg.error().text;
    EXPECT_THAT(*svg, StartsWith("<svg"));
    EXPECT_THAT(*svg, HasSubstr("smart-alloc:P=2,threshold=64"));
  }
}

TEST(Plots, NamesAreNothingButText) {
  EXPECT_THAT(frames_plot(test_record("it's\\\n")).script, HasSubstr("under it_s_ :"));
  const auto all = summarize({test_record("a\"\nEND\nsystem `x`")});
  EXPECT_THAT(totals_plot(all.at(0)).script, HasSubstr("\n\"a_ END system _x_\" 26.000"));
}

TEST(Plots, GnuplotRunsNothingThatARecordSays) {
  const TempDir folder;
  const std::string mark = folder.path() + "/mark";
  for (const char* quote : {"'", "\"", ""}) {
    RunRecord record = test_record(std::string("p") + quote + "\nEND\nsystem \"touch " + mark +
                                   "\"\n`touch " + mark + "`\n");
    record.key.scenario = record.key.policy;
    record.vms[2].name = record.key.policy;
    const auto all = summarize({record});
    for (const Plot& plot :
         {totals_plot(all.at(0)), blocks_plot(all.at(0), 2), frames_plot(record)}) {
      const auto svg = render(plot, folder.path());
      EXPECT_TRUE(svg.ok()) << svg.error().text;
      EXPECT_FALSE(*is_there(mark)) << plot.script;
    }
  }
}

}  // namespace
}  // namespace fallow::lab
