// Sizes, percentages and settings as people write them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow {

// "4096", "512K", "384M", "2G", "1.5T": binary multiples, case-insensitive, optional "B" or "iB".
// Refuses signs, unknown units, zero-length and anything past 2^63. Returns bytes.
Result<std::uint64_t> parse_size(std::string_view text);

// "1.5 GiB", "384 MiB", "0 B": at most one decimal.
std::string format_size(std::uint64_t bytes);
// The same of a number of pages, whatever it is.
std::string format_pages(std::uint64_t pages);

// A whole non-negative number, all of the text.
Result<std::uint64_t> parse_count(std::string_view text);

// A finite decimal number, all of the text.
Result<double> parse_number(std::string_view text);

// "250ms", "1s", "1.5s", "2m". Returns nanoseconds.
Result<std::uint64_t> parse_duration_ns(std::string_view text);

// "smart-alloc:P=2,threshold=64": a name and its settings.
struct Spec {
  std::string name;
  std::map<std::string, std::string> settings;
};
Result<Spec> parse_spec(std::string_view text);

// Names of VMs and the like: 1 to 64 of [a-z A-Z 0-9 . _ -], first a letter or digit. They become
// file names and metric labels, so nothing else is let in.
Status check_name(std::string_view name);

}  // namespace fallow
