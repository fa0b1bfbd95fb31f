// A private folder under the system's temporary one, removed with all it holds at the end. For
// tests, benchmarks and the lab.
#pragma once

#include <string>

namespace fallow {

class TempDir {
 public:
  // `parent` empty: $TMPDIR or /tmp. Stops the program if no folder can be made.
  explicit TempDir(const std::string& parent = "");
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace fallow
