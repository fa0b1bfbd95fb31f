// Reads a file of numbers, some to a line with commas between them, from somebody else: a line may
// be garbage, of any length, or hold a number of any size.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace fallow::guests {

// A line's fields; true when they are what they should be.
using TakeFields = std::function<bool(std::span<const std::string_view>)>;

struct LineForm {
  std::size_t fields = 0;
  std::string header;      // the first line, in any case of letters; or "" when there is none
  std::string wants;       // "two vertex numbers, ...": goes on after "is not"
  std::uint64_t rows_max;  // more are refused
};

// "", or one line that says what is wrong with which line of the file. A file without rows is
// wrong.
std::string read_number_lines(const std::string& path, const LineForm& form,
                              const TakeFields& take);

}  // namespace fallow::guests
