#include "common/temp_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace fallow::guests {

TempFolder::TempFolder(std::string_view program) {
  const char* parent = std::getenv("TMPDIR");
  std::string path = parent == nullptr || *parent == '\0' ? "/tmp" : parent;
  path += "/" + std::string(program) + ".XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    error_ = "cannot make a folder " + path + ": " + std::strerror(errno) +
             ": set TMPDIR to a folder that can be written";
    return;
  }
  path_ = path;
}

TempFolder::~TempFolder() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

}  // namespace fallow::guests
