#include "base/temp_dir.h"

#include <cstdlib>
#include <filesystem>

#include "base/check.h"

namespace fallow {

TempDir::TempDir(const std::string& parent) {
  const std::string root =
      parent.empty() ? std::filesystem::temp_directory_path().string() : parent;
  path_ = root + "/fallow.XXXXXX";
  CHECK(::mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fallow
