#include "base/toml_table.h"

#include <algorithm>

namespace fallow {
namespace {

// How many letters must be changed, added or left out to make one word of the other.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string suggestion(std::string_view word, const std::set<std::string>& known) {
  std::string all;
  for (const std::string& candidate : known) {
    if (edit_distance(word, candidate) <= 2) {
      return "did you mean '" + candidate + "'?";
    }
    all += (all.empty() ? "" : ", ") + candidate;
  }
  return "known here: " + all;
}

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) {
    return text->get();
  }
  if (const auto* number = node.as_integer()) {
    return std::to_string(number->get());
  }
  return std::nullopt;
}

const toml::node* TableReader::find(const std::string& key) {
  known_.insert(key);
  return table_.get(key);
}

void TableReader::take_flag(const std::string& key, bool* into) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return;
  }
  if (!node->is_boolean()) {
    error(*node, key + " must be true or false, without quotes");
    return;
  }
  *into = node->as_boolean()->get();
}

std::vector<const toml::table*> TableReader::tables(const std::string& key, std::size_t most,
                                                    const std::string& plural) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return {};
  }
  const toml::array* array = node->as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table)) {
    error(*node, "'" + key + "' must be tables: write [[" + key + "]]");
    return {};
  }
  if (array->size() > most) {
    error(*node, "more than " + std::to_string(most) + " " + plural + ": take some out");
    return {};
  }
  std::vector<const toml::table*> all;
  for (const toml::node& table : *array) {
    all.push_back(table.as_table());
  }
  return all;
}

void TableReader::missing(const std::string& key, const std::string& example) {
  error(table_, name_ + " needs a key '" + key + "', for example " + key + " = " + example);
}

void TableReader::refuse_unknown_keys() {
  for (const auto& [key, node] : table_) {
    if (!known_.contains(std::string(key.str()))) {
      errors_.push_back({key.source().begin.line, "unknown key '" + std::string(key.str()) +
                                                      "' in " + name_ + ": " +
                                                      suggestion(key.str(), known_)});
    }
  }
}

void TableReader::error(const toml::node& where, const std::string& text) {
  errors_.push_back({std::max<unsigned>(where.source().begin.line, 1), text});
}

void sort_by_line(std::vector<TomlError>& errors) {
  std::stable_sort(errors.begin(), errors.end(), [](const TomlError& left, const TomlError& right) {
    return left.line < right.line;
  });
}

std::string error_lines(const std::string& path, const std::vector<TomlError>& errors) {
  std::string lines;
  for (const TomlError& error : errors) {
    lines +=
        (lines.empty() ? "" : "\n") + path + ":" + std::to_string(error.line) + ": " + error.text;
  }
  return lines;
}

}  // namespace fallow
