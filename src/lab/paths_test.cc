#include "lab/paths.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/temp_dir.h"
#include "lab/agreement.h"
#include "lab/run_record.h"
#include "lab/scenario_files.h"

namespace fallow::lab {
namespace {

using testing::HasSubstr;

// Longer than any file system takes: root may search every folder, so this stands for them all.
std::string too_long() {
  return std::string(300, 'x');
}

TEST(Paths, tellWhatIsThereFromWhatCannotBeLookedFor) {
  const TempDir folder;
  std::ofstream(folder.path() + "/file") << "x";
  EXPECT_TRUE(*is_there(folder.path() + "/file"));
  EXPECT_FALSE(*is_there(folder.path() + "/none"));
  EXPECT_FALSE(*is_there(folder.path() + "/file/below"));
  const auto unknown = is_there(folder.path() + "/" + too_long());
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().text, HasSubstr("cannot look for " + folder.path()));
}

TEST(Paths, sayWhatCannotBeMadeOrRemoved) {
  const TempDir folder;
  EXPECT_TRUE(make_folder(folder.path() + "/a/b"));
  EXPECT_TRUE(make_folder(folder.path() + "/a/b"));
  EXPECT_TRUE(*is_there(folder.path() + "/a/b"));
  EXPECT_TRUE(remove_file(folder.path() + "/none"));
  const Status full = remove_file(folder.path() + "/a");
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().text, HasSubstr("cannot remove " + folder.path() + "/a: "));
  std::ofstream(folder.path() + "/file") << "x";
  const Status below = make_folder(folder.path() + "/file/below");
  ASSERT_FALSE(below);
  EXPECT_THAT(below.error().text, HasSubstr("cannot make the folder " + folder.path()));
}

TEST(Paths, thatCannotBeLookedForAreErrorsOfWhoLooks) {
  const TempDir folder;
  EXPECT_FALSE(read_run_records(folder.path() + "/" + too_long()));
  EXPECT_FALSE(append_run_record(folder.path() + "/" + too_long(), {}));
  EXPECT_THAT(load_named_scenario(folder.path(), too_long()).error().text,
              HasSubstr("cannot look for"));
  RunRecord greedy{.key = {.scenario = too_long(), .policy = "greedy"}, .vms = {{.name = "a"}}};
  RunRecord recorded = greedy;
  recorded.key.policy = kRecorded;
  EXPECT_THAT(find_agreements(folder.path(), {greedy, recorded}).error().text,
              HasSubstr("cannot look for"));
}

}  // namespace
}  // namespace fallow::lab
