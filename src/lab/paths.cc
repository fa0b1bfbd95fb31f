#include "lab/paths.h"

#include <filesystem>

namespace fallow::lab {

Result<bool> is_there(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (error) {
    return failed_errno("cannot look for " + path, error.value());
  }
  return there;
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? failed_errno("cannot make the folder " + path, error.value()) : Status();
}

Status remove_file(const std::string& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? failed_errno("cannot remove " + path, error.value()) : Status();
}

}  // namespace fallow::lab
