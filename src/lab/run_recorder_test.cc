#include "lab/run_recorder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/temp_dir.h"
#include "lab/paths.h"

namespace fallow::lab {
namespace {

TEST(RunRecorder, thatDoesNotRecordLeavesTheRecordingBeforeItAlone) {
  const TempDir folder;
  const std::string path = folder.path() + "/one.trace";
  std::ofstream(path) << "good";
  const Scenario scenario;
  {
    const node::ControlClient nobody(folder.path() + "/none.sock", 100);
    RunRecorder recorder(nobody, scenario, path);
    EXPECT_FALSE(recorder.start());
  }
  EXPECT_EQ(*read_text_file(path, 100), "good");
  EXPECT_FALSE(*is_there(path + ".new"));
}

}  // namespace
}  // namespace fallow::lab
