// For tests: a file with given content, gone when it goes out of scope.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace fallow::guests {

class TestFile {
 public:
  explicit TestFile(std::string_view content)
      : path_(testing::TempDir() + "guests_test." + std::to_string(::getpid())) {
    std::FILE* const file = std::fopen(path_.c_str(), "w");
    EXPECT_NE(file, nullptr);
    EXPECT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
    std::fclose(file);
  }
  ~TestFile() { std::remove(path_.c_str()); }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace fallow::guests
