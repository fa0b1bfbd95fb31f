#include "common/number_lines.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/test_file.h"

namespace fallow::guests {
namespace {

using namespace std::string_view_literals;

const LineForm kPairs{2, "", "a pair", 3};
const LineForm kTitledPairs{2, "one,two", "a pair", 3};

// What is wrong with the file, without its path.
std::string read(std::string_view content, const LineForm& form, std::vector<std::string>& fields) {
  const TestFile file(content);
  const std::string error = read_number_lines(file.path(), form, [&fields](auto taken) {
    fields.insert(fields.end(), taken.begin(), taken.end());
    return taken[0] != "bad";
  });
  const std::string prefix = file.path() + ": ";
  EXPECT_TRUE(error.empty() || error.starts_with(prefix)) << error;
  return error.empty() ? "" : error.substr(prefix.size());
}

std::string read(std::string_view content, const LineForm& form = kPairs) {
  std::vector<std::string> fields;
  return read(content, form, fields);
}

TEST(NumberLines, SplitsLinesWithAnyEnd) {
  std::vector<std::string> fields;
  EXPECT_EQ(read("1,2\r\n3,4\n5,", kPairs, fields), "");
  EXPECT_EQ(fields, (std::vector<std::string>{"1", "2", "3", "4", "5", ""}));
}

TEST(NumberLines, TakesTheHeaderInAnyCaseAndNothingElse) {
  std::vector<std::string> fields;
  EXPECT_EQ(read("One,TWO\n1,2\n", kTitledPairs, fields), "");
  EXPECT_EQ(fields, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(read("1,2\n", kTitledPairs), "line 1: '1,2' is not the header one,two");
}

TEST(NumberLines, SaysWhichLineIsWrong) {
  EXPECT_EQ(read("1,2\nbad,4\n"), "line 2: 'bad,4' is not a pair");
  EXPECT_EQ(read("1,2,3\n"), "line 1: '1,2,3' is not a pair");
  EXPECT_EQ(read("1\n"), "line 1: '1' is not a pair");
  EXPECT_EQ(read("1,2\n\n3,4\n"), "line 2: '' is not a pair");
}

TEST(NumberLines, RefusesAFileWithoutRows) {
  EXPECT_EQ(read(""), "no rows in it: a row is a pair");
  EXPECT_EQ(read("one,two\n", kTitledPairs), "no rows in it: a row is a pair");
}

TEST(NumberLines, RefusesMoreRowsThanWereAskedFor) {
  EXPECT_EQ(read("1,2\n3,4\n5,6\n"), "");
  EXPECT_EQ(read("1,2\n3,4\n5,6\n7,8\n"), "line 4: more than 3 rows do not fit: raise --megabytes");
}

TEST(NumberLines, RefusesGarbageInOneShortPrintableLine) {
  EXPECT_EQ(read("\x1b[2J\0\xff\n"sv),
            "line 1: '?[2J?"
            "?' is not a pair");
  EXPECT_EQ(read(std::string(150, 'x')), "line 1: '" + std::string(40, 'x') + "...' is not a pair");
  EXPECT_EQ(read("1,2\n" + std::string(100'000, '1')),
            "line 2: longer than 200 bytes, so it is not a pair");
}

TEST(NumberLines, SaysWhyAFileCannotBeRead) {
  const auto take = [](auto) { return true; };
  EXPECT_EQ(read_number_lines("/nonexistent/file", kPairs, take),
            "/nonexistent/file: No such file or directory");
  EXPECT_EQ(read_number_lines("/", kPairs, take), "/: cannot be read: Is a directory");
}

}  // namespace
}  // namespace fallow::guests
