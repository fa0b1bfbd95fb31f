#include "lab/report_html.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/temp_dir.h"
#include "lab/test_record.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ReportHtml, ShowsConditionsSharesCountersAndFigures) {
  const std::string html = to_html(test_record(), {{"<svg>times</svg>"}, {"<svg>frames</svg>"}});
  EXPECT_THAT(html, HasSubstr("times are not native"));
  EXPECT_THAT(html, HasSubstr("90%"));
  EXPECT_THAT(html, HasSubstr("pswpout"));
  EXPECT_THAT(html, HasSubstr("<figure><svg>times</svg></figure>"));
  EXPECT_THAT(html, HasSubstr("<figure><svg>frames</svg></figure>"));
  EXPECT_THAT(html, Not(HasSubstr("http"))) << "it must need nothing else";
}

TEST(ReportHtml, TextStaysText) {
  LabRecord record = test_record();
  record.policies[0].spec = "<b>&";
  EXPECT_THAT(to_html(record, {}), HasSubstr("&lt;b&gt;&amp;"));
}

TEST(ReportHtml, WritesAllFourFiles) {
  const TempDir folder;
  const std::string out = folder.path() + "/a/b";
  const Status status = write_report(test_record(), out);
  ASSERT_TRUE(status.ok()) << status.error().text;
  for (const char* name : {"report.html", "frames.csv", "steps.csv", "result.json"}) {
    const auto text = read_text_file(out + "/" + name, 10 << 20);
    ASSERT_TRUE(text.ok()) << name;
    EXPECT_FALSE(text->empty()) << name;
  }
}

TEST(ReportHtml, SaysWhichFolderCannotBeMade) {
  const Status status = write_report(test_record(), "/proc/nowhere");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().text, HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace fallow::lab
