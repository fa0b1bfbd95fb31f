// The command line of a guest program: a table of its options, and one line for whoever used it
// wrongly.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::guests {

// False, and nothing is stored, unless all of `text` is one whole number that is not negative.
bool parse_whole(std::string_view text, std::uint64_t& value);

struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = UINT64_MAX;
};

// What it is told to fill in must outlive it.
class Options {
 public:
  Options(std::string_view program, bool& help);  // --help and -h

  void flag(std::string_view name, bool& value);
  void text(std::string_view name, std::string& value);
  void count(std::string_view name, std::uint64_t& value, Range range = {});
  // For a value with a form of its own; `wants` goes on after "is not".
  void value(std::string_view name, std::string_view wants,
             std::function<bool(std::string_view)> take);

  // "", or one line that says what is wrong and how to mend it.
  [[nodiscard]] std::string parse(std::span<const char* const> arguments) const;
  [[nodiscard]] std::string wrong(std::string_view text) const;

 private:
  struct Option {
    std::string name;
    bool takes_value;
    std::string wants;
    std::function<bool(std::string_view)> take;
  };
  [[nodiscard]] const Option* find(std::string_view name) const;

  std::string program_;
  std::vector<Option> options_;
};

}  // namespace fallow::guests
