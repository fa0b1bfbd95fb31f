#include "base/text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/units.h"

namespace fallow {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

// Digits with an optional fraction from the start of `text`; what follows is left in `rest`.
bool take_decimal(std::string_view text, double* value, std::string_view* rest) {
  std::size_t end = 0;
  while (end < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[end])) != 0 || text[end] == '.')) {
    ++end;
  }
  if (end == 0) {
    return false;
  }
  const auto [stop, code] = std::from_chars(text.data(), text.data() + end, *value);
  *rest = text.substr(end);
  return code == std::errc{} && stop == text.data() + end;
}

int unit_shift(std::string_view unit) {
  std::string lower(unit);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.empty() || lower == "b") {
    return 0;
  }
  const std::size_t at = std::string_view("kmgt").find(lower[0]);
  const std::string_view tail = std::string_view(lower).substr(1);
  if (at == std::string_view::npos || !(tail.empty() || tail == "b" || tail == "ib")) {
    return -1;
  }
  return 10 * (static_cast<int>(at) + 1);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const std::string hint = "size " + quoted(text) +
                           " is not a number with an optional K, M, G or T" + " (for example 512M)";
  double value = 0;
  std::string_view unit;
  if (!take_decimal(text, &value, &unit)) {
    return invalid(hint);
  }
  const int shift = unit_shift(unit);
  if (shift < 0) {
    return invalid(hint);
  }
  const double bytes = std::ldexp(value, shift);
  if (!(bytes < std::ldexp(1.0, 63))) {
    return invalid("size " + quoted(text) + " is too large");
  }
  return static_cast<std::uint64_t>(bytes);
}

std::string format_size(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char buffer[32];
  const bool whole = value == std::floor(value);
  std::snprintf(buffer, sizeof buffer, whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return buffer;
}

std::string format_pages(std::uint64_t pages) {
  constexpr std::uint64_t kPagesMax = ~std::uint64_t{0} >> kPageShift;
  return format_size(Pages(std::min(pages, kPagesMax)).bytes());
}

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc{} || stop != text.data() + text.size()) {
    return invalid(quoted(text) + " is not a whole number, zero or more");
  }
  return value;
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc{} || stop != text.data() + text.size() ||
      !std::isfinite(value)) {
    return invalid(quoted(text) + " is not a number");
  }
  return value;
}

Result<std::uint64_t> parse_duration_ns(std::string_view text) {
  const Error hint = invalid("duration " + quoted(text) + " is not a number with ms, s or m" +
                             " (for example 500ms)");
  double value = 0;
  std::string_view unit;
  if (!take_decimal(text, &value, &unit)) {
    return hint;
  }
  const double scale = unit == "ms" ? 1e6 : unit == "s" ? 1e9 : unit == "m" ? 60e9 : 0;
  if (scale == 0 || !(value * scale < 1e18)) {
    return hint;
  }
  return static_cast<std::uint64_t>(std::llround(value * scale));
}

Result<Spec> parse_spec(std::string_view text) {
  Spec spec;
  const std::size_t colon = text.find(':');
  spec.name = std::string(text.substr(0, colon));
  if (spec.name.empty()) {
    return invalid("an empty name: write NAME or NAME:KEY=VALUE,...");
  }
  std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (colon != std::string_view::npos && rest.empty()) {
    return invalid(quoted(text) + " ends in a colon: write settings behind it or leave it out");
  }
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == item.size() ||
        comma + 1 == rest.size()) {
      return invalid("settings in " + quoted(text) + " are not of the form KEY=VALUE,KEY=VALUE");
    }
    const std::string key(item.substr(0, equals));
    if (!spec.settings.emplace(key, std::string(item.substr(equals + 1))).second) {
      return invalid("setting '" + key + "' stands twice in " + quoted(text));
    }
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  return spec;
}

Status check_name(std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  const bool good = !name.empty() && name.size() <= 64 &&
                    std::isalnum(static_cast<unsigned char>(name[0])) != 0 &&
                    std::all_of(name.begin(), name.end(), allowed);
  if (!good) {
    return invalid(
        "name " + quoted(name.substr(0, 80)) +
        " must be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit");
  }
  return {};
}

}  // namespace fallow
