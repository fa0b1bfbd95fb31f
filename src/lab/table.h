// Small pieces of which reports are made: columns of text, cells of HTML, fields of CSV.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace fallow::lab {

// "1.25"
std::string decimal(double value, int digits);

using Row = std::vector<std::string>;
// Columns as wide as they need to be; the first two to the left, numbers to the right.
std::string aligned(const std::vector<Row>& rows);

// For what holds commas.
std::string csv_quoted(const std::string& text);

std::string html_escaped(const std::string& text);
std::string html_cell(const std::string& text);
std::string html_text_cell(const std::string& text);
// From the document's first line to its heading. It needs no other file, and prints well.
std::string html_head(const std::string& title);

Status write_text_file(const std::string& path, const std::string& text);

}  // namespace fallow::lab
