#include "common/options.h"

#include <charconv>

namespace fallow::guests {

bool parse_whole(std::string_view text, std::uint64_t& value) {
  std::uint64_t parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) {
    return false;
  }
  value = parsed;
  return true;
}

Options::Options(std::string_view program, bool& help) : program_(program) {
  flag("--help", help);
  flag("-h", help);
}

void Options::flag(std::string_view name, bool& value) {
  options_.push_back({std::string(name), false, "", [&value](std::string_view) {
                        value = true;
                        return true;
                      }});
}

void Options::text(std::string_view name, std::string& value) {
  options_.push_back({std::string(name), true, "a file's name", [&value](std::string_view text) {
                        value = text;
                        return !text.empty();
                      }});
}

void Options::count(std::string_view name, std::uint64_t& value, Range range) {
  std::string wants = "a whole number";
  if (range.max != UINT64_MAX) {
    wants += " from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  }
  options_.push_back({std::string(name), true, wants, [&value, range](std::string_view text) {
                        std::uint64_t number = 0;
                        const bool good =
                            parse_whole(text, number) && number >= range.min && number <= range.max;
                        value = good ? number : value;
                        return good;
                      }});
}

void Options::value(std::string_view name, std::string_view wants,
                    std::function<bool(std::string_view)> take) {
  options_.push_back({std::string(name), true, std::string(wants), std::move(take)});
}

const Options::Option* Options::find(std::string_view name) const {
  for (const Option& option : options_) {
    if (option.name == name) {
      return &option;
    }
  }
  return nullptr;
}

std::string Options::wrong(std::string_view text) const {
  return program_ + ": " + std::string(text);
}

std::string Options::parse(std::span<const char* const> arguments) const {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string name = arguments[i];
    const Option* option = find(name);
    if (option == nullptr) {
      return wrong("no option '" + name + "': see " + program_ + " --help");
    }
    if (option->takes_value && i + 1 == arguments.size()) {
      return wrong(name + " needs a value: " + option->wants);
    }
    const std::string_view value = option->takes_value ? arguments[++i] : "";
    if (!option->take(value)) {
      return wrong(name + " '" + std::string(value) + "' is not " + option->wants);
    }
  }
  return "";
}

}  // namespace fallow::guests
