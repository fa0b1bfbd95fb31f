#include "lab/table.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace fallow::lab {
namespace {

constexpr const char* kStyle =
    "<style>\n"
    "body{font:15px/1.45 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}\n"
    "table{border-collapse:collapse;margin:1rem 0}\n"
    "td,th{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:right}\n"
    "td.l,th.l{text-align:left}\nsvg{max-width:100%;height:auto;break-inside:avoid}\n"
    "figure{margin:1rem 0;break-inside:avoid}\n@media print{body{margin:0;max-width:none}}\n"
    "</style>";

}  // namespace

std::string decimal(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (i < 2 ? row[i] + pad : pad + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string csv_quoted(const std::string& text) {
  std::string safe = "\"";
  for (const char letter : text) {
    safe += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  }
  return safe + "\"";
}

std::string html_escaped(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

std::string html_cell(const std::string& text) {
  return "<td>" + html_escaped(text) + "</td>";
}

std::string html_text_cell(const std::string& text) {
  return "<td class=\"l\">" + html_escaped(text) + "</td>";
}

std::string html_head(const std::string& title) {
  const std::string safe = html_escaped(title);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>" + safe +
         "</title>\n" + kStyle + "</head><body>\n<h1>" + safe + "</h1>\n";
}

Status write_text_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file ? Status() : failed("cannot write " + path);
}

}  // namespace fallow::lab
