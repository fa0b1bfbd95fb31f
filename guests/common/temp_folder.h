// A private folder under $TMPDIR or /tmp, removed with all that it holds at the end.
#pragma once

#include <string>
#include <string_view>

namespace fallow::guests {

class TempFolder {
 public:
  explicit TempFolder(std::string_view program);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  // "", or why there is none.
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string error_;
};

}  // namespace fallow::guests
