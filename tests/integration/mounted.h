// A file system of a test's own, as small as wanted.
#pragma once

#include <sys/mount.h>

#include <string>

#include "base/temp_dir.h"

namespace fallow::test {

// Needs root: good() is false when it could not be mounted.
class Mounted {
 public:
  Mounted(const char* type, const std::string& options)
      : good_(::mount(type, dir_.path().c_str(), type, 0, options.c_str()) == 0) {}
  ~Mounted() {
    if (good_) {
      ::umount2(dir_.path().c_str(), MNT_DETACH);
    }
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] const std::string& path() const { return dir_.path(); }

 private:
  TempDir dir_;
  bool good_;
};

}  // namespace fallow::test
