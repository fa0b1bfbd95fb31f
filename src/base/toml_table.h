// Reading TOML files strictly: every error is told, with its line and what mends it, and a key that
// nobody asked for is one. For .cc files only, as toml++ is heavy.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// Errors as values: no exception leaves the parser.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/result.h"
#include "base/toml_error.h"

namespace fallow {

// "did you mean 'interval'?", or all that there are when none is near.
std::string suggestion(std::string_view word, const std::set<std::string>& known);

// Text, or a number as text.
std::optional<std::string> text_of(const toml::node& node);

// Reads one table key by key and remembers which keys it was asked for: the others are errors.
// Table and errors must outlive it.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string name, std::vector<TomlError>& errors)
      : table_(table), name_(std::move(name)), errors_(errors) {}

  // Leaves `*into` alone when the key is missing or wrong. Text or a whole number, through `parse`.
  // False: the key is missing.
  template <typename T>
  bool take(const std::string& key, T* into, const std::function<Result<T>(std::string)>& parse) {
    const toml::node* node = find(key);
    if (node == nullptr) {
      return false;
    }
    const std::optional<std::string> text = text_of(*node);
    if (!text) {
      error(*node, key + " must be text in quotes or a whole number");
      return true;
    }
    Result<T> value = parse(*text);
    if (!value) {
      error(*node, key + ": " + value.error().text);
      return true;
    }
    *into = *std::move(value);
    return true;
  }

  void take_flag(const std::string& key, bool* into);
  // nullptr when there is no such key; it is known from then on.
  const toml::node* find(const std::string& key);
  // The tables of [[key]], none when there are none or they are something else, which is an error.
  // More than `most` are one, too; `plural` is what they are called then.
  std::vector<const toml::table*> tables(const std::string& key, std::size_t most,
                                         const std::string& plural);

  void missing(const std::string& key, const std::string& example);
  void refuse_unknown_keys();
  void error(const toml::node& where, const std::string& text);

  [[nodiscard]] const toml::table& table() const { return table_; }

 private:
  const toml::table& table_;
  std::string name_;
  std::vector<TomlError>& errors_;
  std::set<std::string> known_;
};

}  // namespace fallow
