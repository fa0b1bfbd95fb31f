// What is wrong in a TOML file that people write, and where.
#pragma once

#include <string>
#include <vector>

namespace fallow {

struct TomlError {
  unsigned line = 0;  // from 1
  std::string text;
};

void sort_by_line(std::vector<TomlError>& errors);
// "FILE:LINE: what", a line for each.
std::string error_lines(const std::string& path, const std::vector<TomlError>& errors);

}  // namespace fallow
